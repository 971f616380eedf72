/**
 * The types of the objects that this API server serves, as Kubernetes 1.37 describes them in its OpenAPI document: fields,
 * JSON types, how lists are merged and who may own a part of them.
 *
 * One type a line: its name, `atomic` where it is owned as a whole, then its fields as `name:type`. A `!` after the name
 * says that the field must be there, `=` gives a default. Types are scalars, other types, `map(values)` and
 * `list(items;...)` with `set` or `key=<fields>` where items are owned one by one, and `patch=merge:<key>` where a
 * strategic merge patch merges them.
 */
export const definitions = `
authentication.BoundObjectReference apiVersion:string kind:string name:string uid:string
authentication.TokenRequest apiVersion:string kind:string metadata:meta.ObjectMeta spec:authentication.TokenRequestSpec status:authentication.TokenRequestStatus
authentication.TokenRequestSpec attestations:map(list(string)) audiences:list(string) boundObjectRef:authentication.BoundObjectReference expirationSeconds:long
authentication.TokenRequestStatus expirationTimestamp:time token:string
authorization.FieldSelectorAttributes rawSelector:string requirements:list(meta.FieldSelectorRequirement)
authorization.LabelSelectorAttributes rawSelector:string requirements:list(meta.LabelSelectorRequirement)
authorization.NonResourceAttributes path:string verb:string
authorization.NonResourceRule nonResourceURLs:list(string) verbs!:list(string)
authorization.ResourceAttributes fieldSelector:authorization.FieldSelectorAttributes group:string labelSelector:authorization.LabelSelectorAttributes name:string namespace:string resource:string subresource:string verb:string version:string
authorization.ResourceRule apiGroups:list(string) resourceNames:list(string) resources:list(string) verbs!:list(string)
authorization.SelfSubjectAccessReview apiVersion:string kind:string metadata:meta.ObjectMeta spec!:authorization.SelfSubjectAccessReviewSpec status:authorization.SubjectAccessReviewStatus
authorization.SelfSubjectAccessReviewSpec nonResourceAttributes:authorization.NonResourceAttributes resourceAttributes:authorization.ResourceAttributes
authorization.SelfSubjectRulesReview apiVersion:string kind:string metadata:meta.ObjectMeta spec!:authorization.SelfSubjectRulesReviewSpec status:authorization.SubjectRulesReviewStatus
authorization.SelfSubjectRulesReviewSpec namespace:string
authorization.SubjectAccessReviewStatus allowed!:bool denied:bool evaluationError:string reason:string
authorization.SubjectRulesReviewStatus evaluationError:string incomplete!:bool nonResourceRules!:list(authorization.NonResourceRule) resourceRules!:list(authorization.ResourceRule)
coordination.Lease apiVersion:string kind:string metadata:meta.ObjectMeta spec:coordination.LeaseSpec
coordination.LeaseSpec acquireTime:microtime holderIdentity:string leaseDurationSeconds:int leaseTransitions:int preferredHolder:string renewTime:microtime strategy:string
core.AWSElasticBlockStoreVolumeSource fsType:string partition:int readOnly:bool volumeID!:string
core.Affinity nodeAffinity:core.NodeAffinity podAffinity:core.PodAffinity podAntiAffinity:core.PodAntiAffinity
core.AppArmorProfile localhostProfile:string type!:string
core.AzureDiskVolumeSource cachingMode:string="ReadWrite" diskName!:string diskURI!:string fsType:string="ext4" kind:string="Shared" readOnly:bool
core.AzureFileVolumeSource readOnly:bool secretName!:string shareName!:string
core.CSIVolumeSource driver!:string fsType:string nodePublishSecretRef:core.LocalObjectReference readOnly:bool volumeAttributes:map(string)
core.Capabilities add:list(string) drop:list(string)
core.CephFSVolumeSource monitors!:list(string) path:string readOnly:bool secretFile:string secretRef:core.LocalObjectReference user:string
core.CinderVolumeSource fsType:string readOnly:bool secretRef:core.LocalObjectReference volumeID!:string
core.ClientIPConfig timeoutSeconds:int
core.ClusterTrustBundleProjection labelSelector:meta.LabelSelector name:string optional:bool path!:string signerName:string user:long
core.ConfigMapEnvSource name:string optional:bool
core.ConfigMapKeySelector atomic key!:string name:string optional:bool
core.ConfigMapProjection items:list(core.KeyToPath) name:string optional:bool
core.ConfigMapVolumeSource defaultMode:int defaultUser:long items:list(core.KeyToPath) name:string optional:bool
core.Container args:list(string) command:list(string) env:list(core.EnvVar;key=name;patch=merge:name) envFrom:list(core.EnvFromSource) image:string imagePullPolicy:string lifecycle:core.Lifecycle livenessProbe:core.Probe name!:string ports:list(core.ContainerPort;key=containerPort+protocol;patch=merge:containerPort) readinessProbe:core.Probe resizePolicy:list(core.ContainerResizePolicy) resources:core.ResourceRequirements restartPolicy:string restartPolicyRules:list(core.ContainerRestartRule) securityContext:core.SecurityContext startupProbe:core.Probe stdin:bool stdinOnce:bool terminationMessagePath:string terminationMessagePolicy:string tty:bool volumeDevices:list(core.VolumeDevice;key=devicePath;patch=merge:devicePath) volumeMounts:list(core.VolumeMount;key=mountPath;patch=merge:mountPath) workingDir:string
core.ContainerExtendedResourceRequest containerName!:string requestName!:string resourceName!:string
core.ContainerPort containerPort!:int hostIP:string hostPort:int name:string protocol:string="TCP"
core.ContainerResizePolicy resourceName!:string restartPolicy!:string
core.ContainerRestartRule action!:string exitCodes:core.ContainerRestartRuleOnExitCodes
core.ContainerRestartRuleOnExitCodes operator!:string values:list(int;set)
core.ContainerState running:core.ContainerStateRunning terminated:core.ContainerStateTerminated waiting:core.ContainerStateWaiting
core.ContainerStateRunning startedAt:time
core.ContainerStateTerminated containerID:string exitCode!:int finishedAt:time message:string reason:string signal:int startedAt:time
core.ContainerStateWaiting message:string reason:string
core.ContainerStatus allocatedResources:map(quantity) allocatedResourcesStatus:list(core.ResourceStatus;key=name;patch=merge:name) containerID:string image!:string imageID!:string lastState:core.ContainerState name!:string ready!:bool resources:core.ResourceRequirements restartCount!:int started:bool state:core.ContainerState stopSignal:string user:core.ContainerUser volumeMounts:list(core.VolumeMountStatus;key=mountPath;patch=merge:mountPath)
core.ContainerUser linux:core.LinuxContainerUser
core.DownwardAPIProjection items:list(core.DownwardAPIVolumeFile)
core.DownwardAPIVolumeFile fieldRef:core.ObjectFieldSelector mode:int path!:string resourceFieldRef:core.ResourceFieldSelector user:long
core.DownwardAPIVolumeSource defaultMode:int defaultUser:long items:list(core.DownwardAPIVolumeFile)
core.EmptyDirVolumeSource medium:string mode:int sizeLimit:quantity
core.EnvFromSource configMapRef:core.ConfigMapEnvSource prefix:string secretRef:core.SecretEnvSource
core.EnvVar name!:string value:string valueFrom:core.EnvVarSource
core.EnvVarSource configMapKeyRef:core.ConfigMapKeySelector fieldRef:core.ObjectFieldSelector fileKeyRef:core.FileKeySelector resourceFieldRef:core.ResourceFieldSelector secretKeyRef:core.SecretKeySelector
core.EphemeralContainer args:list(string) command:list(string) env:list(core.EnvVar;key=name;patch=merge:name) envFrom:list(core.EnvFromSource) image:string imagePullPolicy:string lifecycle:core.Lifecycle livenessProbe:core.Probe name!:string ports:list(core.ContainerPort;key=containerPort+protocol;patch=merge:containerPort) readinessProbe:core.Probe resizePolicy:list(core.ContainerResizePolicy) resources:core.ResourceRequirements restartPolicy:string restartPolicyRules:list(core.ContainerRestartRule) securityContext:core.SecurityContext startupProbe:core.Probe stdin:bool stdinOnce:bool targetContainerName:string terminationMessagePath:string terminationMessagePolicy:string tty:bool volumeDevices:list(core.VolumeDevice;key=devicePath;patch=merge:devicePath) volumeMounts:list(core.VolumeMount;key=mountPath;patch=merge:mountPath) workingDir:string
core.EphemeralVolumeSource volumeClaimTemplate:core.PersistentVolumeClaimTemplate
core.Event action:string apiVersion:string count:int eventTime:microtime firstTimestamp:time involvedObject!:core.ObjectReference kind:string lastTimestamp:time message:string metadata!:meta.ObjectMeta reason:string related:core.ObjectReference reportingComponent:string reportingInstance:string series:core.EventSeries source:core.EventSource type:string
core.EventSeries count:int lastObservedTime:microtime
core.EventSource component:string host:string
core.EvictionResponder atomic name!:string priority!:int
core.ExecAction command:list(string)
core.FCVolumeSource fsType:string lun:int readOnly:bool targetWWNs:list(string) wwids:list(string)
core.FileKeySelector atomic key!:string optional:bool path!:string volumeName!:string
core.FlexVolumeSource driver!:string fsType:string options:map(string) readOnly:bool secretRef:core.LocalObjectReference
core.FlockerVolumeSource datasetName:string datasetUUID:string
core.GCEPersistentDiskVolumeSource fsType:string partition:int pdName!:string readOnly:bool
core.GRPCAction mode:string port!:int service:string
core.GitRepoVolumeSource directory:string repository!:string revision:string
core.GlusterfsVolumeSource endpoints!:string path!:string readOnly:bool
core.HTTPGetAction host:string httpHeaders:list(core.HTTPHeader) path:string port!:int-or-string protocol:string scheme:string
core.HTTPHeader name!:string value!:string
core.HostAlias hostnames:list(string) ip!:string
core.HostIP ip!:string
core.HostPathVolumeSource path!:string type:string
core.ISCSIVolumeSource chapAuthDiscovery:bool chapAuthSession:bool fsType:string initiatorName:string iqn!:string iscsiInterface:string="default" lun!:int portals:list(string) readOnly:bool secretRef:core.LocalObjectReference targetPortal!:string
core.ImageVolumeSource pullPolicy:string reference:string
core.ImageVolumeStatus imageRef!:string
core.KeyToPath key!:string mode:int path!:string user:long
core.Lifecycle postStart:core.LifecycleHandler preStop:core.LifecycleHandler stopSignal:string
core.LifecycleHandler exec:core.ExecAction httpGet:core.HTTPGetAction sleep:core.SleepAction tcpSocket:core.TCPSocketAction
core.LinuxContainerUser gid!:long supplementalGroups:list(long) uid!:long
core.LoadBalancerIngress hostname:string ip:string ipMode:string ports:list(core.PortStatus)
core.LoadBalancerStatus ingress:list(core.LoadBalancerIngress)
core.LocalObjectReference atomic name:string
core.NFSVolumeSource path!:string readOnly:bool server!:string
core.Namespace apiVersion:string kind:string metadata:meta.ObjectMeta spec:core.NamespaceSpec status:core.NamespaceStatus
core.NamespaceCondition lastTransitionTime:time message:string reason:string status!:string type!:string
core.NamespaceSpec finalizers:list(string)
core.NamespaceStatus conditions:list(core.NamespaceCondition;key=type;patch=merge:type) phase:string
core.NodeAffinity preferredDuringSchedulingIgnoredDuringExecution:list(core.PreferredSchedulingTerm) requiredDuringSchedulingIgnoredDuringExecution:core.NodeSelector
core.NodeAllocatableMappedResources name!:string quantity!:quantity
core.NodeAllocatableOverheadResources name!:string perContainer:quantity perPod:quantity
core.NodeAllocatableResourceClaimStatus containers:list(string;set) mapping:list(core.NodeAllocatableMappedResources;key=name;patch=merge:name) overhead:list(core.NodeAllocatableOverheadResources;key=name;patch=merge:name) resourceClaimName!:string
core.NodeSelector atomic nodeSelectorTerms!:list(core.NodeSelectorTerm)
core.NodeSelectorRequirement key!:string operator!:string values:list(string)
core.NodeSelectorTerm atomic matchExpressions:list(core.NodeSelectorRequirement) matchFields:list(core.NodeSelectorRequirement)
core.ObjectFieldSelector atomic apiVersion:string fieldPath!:string
core.ObjectReference atomic apiVersion:string fieldPath:string kind:string name:string namespace:string resourceVersion:string uid:string
core.PersistentVolumeClaimSpec accessModes:list(string) dataSource:core.TypedLocalObjectReference dataSourceRef:core.TypedObjectReference resources:core.VolumeResourceRequirements selector:meta.LabelSelector storageClassName:string volumeAttributesClassName:string volumeMode:string volumeName:string
core.PersistentVolumeClaimTemplate metadata:meta.ObjectMeta spec!:core.PersistentVolumeClaimSpec
core.PersistentVolumeClaimVolumeSource claimName!:string readOnly:bool
core.PhotonPersistentDiskVolumeSource fsType:string pdID!:string
core.Pod apiVersion:string kind:string metadata:meta.ObjectMeta spec:core.PodSpec status:core.PodStatus
core.PodAffinity preferredDuringSchedulingIgnoredDuringExecution:list(core.WeightedPodAffinityTerm) requiredDuringSchedulingIgnoredDuringExecution:list(core.PodAffinityTerm)
core.PodAffinityTerm labelSelector:meta.LabelSelector matchLabelKeys:list(string) mismatchLabelKeys:list(string) namespaceSelector:meta.LabelSelector namespaces:list(string) topologyKey!:string
core.PodAntiAffinity preferredDuringSchedulingIgnoredDuringExecution:list(core.WeightedPodAffinityTerm) requiredDuringSchedulingIgnoredDuringExecution:list(core.PodAffinityTerm)
core.PodCertificateProjection certificateChainPath:string credentialBundlePath:string keyPath:string keyType!:string maxExpirationSeconds:int signerName!:string user:long userAnnotations:map(string)
core.PodCondition lastProbeTime:time lastTransitionTime:time message:string observedGeneration:long reason:string status!:string type!:string
core.PodDNSConfig nameservers:list(string) options:list(core.PodDNSConfigOption) searches:list(string)
core.PodDNSConfigOption name:string value:string
core.PodExtendedResourceClaimStatus requestMappings!:list(core.ContainerExtendedResourceRequest) resourceClaimName!:string
core.PodIP ip!:string
core.PodOS name!:string
core.PodReadinessGate conditionType!:string
core.PodResourceClaim name!:string resourceClaimName:string resourceClaimTemplateName:string
core.PodResourceClaimStatus name!:string resourceClaimName:string
core.PodSchedulingGate name!:string
core.PodSchedulingGroup podGroupName:string
core.PodSecurityContext appArmorProfile:core.AppArmorProfile fsGroup:long fsGroupChangePolicy:string runAsGroup:long runAsNonRoot:bool runAsUser:long seLinuxChangePolicy:string seLinuxOptions:core.SELinuxOptions seccompProfile:core.SeccompProfile supplementalGroups:list(long) supplementalGroupsPolicy:string sysctls:list(core.Sysctl) windowsOptions:core.WindowsSecurityContextOptions
core.PodSpec activeDeadlineSeconds:long affinity:core.Affinity automountServiceAccountToken:bool containers!:list(core.Container;key=name;patch=merge:name) dnsConfig:core.PodDNSConfig dnsPolicy:string enableServiceLinks:bool ephemeralContainers:list(core.EphemeralContainer;key=name;patch=merge:name) evictionResponders:list(core.EvictionResponder;key=name;patch=merge:name) hostAliases:list(core.HostAlias;key=ip;patch=merge:ip) hostIPC:bool hostNetwork:bool hostPID:bool hostUsers:bool hostname:string hostnameOverride:string imagePullSecrets:list(core.LocalObjectReference;key=name;patch=merge:name) initContainers:list(core.Container;key=name;patch=merge:name) nodeName:string nodeSelector:map(string;atomic) os:core.PodOS overhead:map(quantity) preemptionPolicy:string priority:int priorityClassName:string readinessGates:list(core.PodReadinessGate) resourceClaims:list(core.PodResourceClaim;key=name;patch=merge+retainKeys:name) resources:core.ResourceRequirements restartPolicy:string runtimeClassName:string schedulerName:string schedulingGates:list(core.PodSchedulingGate;key=name;patch=merge:name) schedulingGroup:core.PodSchedulingGroup securityContext:core.PodSecurityContext serviceAccount:string serviceAccountName:string setHostnameAsFQDN:bool shareProcessNamespace:bool subdomain:string terminationGracePeriodSeconds:long tolerations:list(core.Toleration) topologySpreadConstraints:list(core.TopologySpreadConstraint;key=topologyKey+whenUnsatisfiable;patch=merge:topologyKey) volumes:list(core.Volume;key=name;patch=merge+retainKeys:name)
core.PodStatus allocatedResources:map(quantity) conditions:list(core.PodCondition;key=type;patch=merge:type) containerStatuses:list(core.ContainerStatus) ephemeralContainerStatuses:list(core.ContainerStatus) extendedResourceClaimStatus:core.PodExtendedResourceClaimStatus hostIP:string hostIPs:list(core.HostIP;patch=merge:ip) initContainerStatuses:list(core.ContainerStatus) message:string nodeAllocatableResourceClaimStatuses:list(core.NodeAllocatableResourceClaimStatus;key=resourceClaimName;patch=merge:resourceClaimName) nominatedNodeName:string observedGeneration:long phase:string podIP:string podIPs:list(core.PodIP;key=ip;patch=merge:ip) qosClass:string reason:string resize:string resourceClaimStatuses:list(core.PodResourceClaimStatus;key=name;patch=merge+retainKeys:name) resources:core.ResourceRequirements startTime:time volumeHealth:list(core.PodVolumeHealth;key=name)
core.PodVolumeHealth healthConditions:list(core.VolumeHealthCondition;key=status+reason;patch=merge:status) lastTransitionTime:time name!:string
core.PortStatus error:string port!:int protocol!:string
core.PortworxVolumeSource fsType:string readOnly:bool volumeID!:string
core.PreferredSchedulingTerm preference!:core.NodeSelectorTerm weight!:int
core.Probe exec:core.ExecAction failureThreshold:int grpc:core.GRPCAction httpGet:core.HTTPGetAction initialDelaySeconds:int periodSeconds:int successThreshold:int tcpSocket:core.TCPSocketAction terminationGracePeriodSeconds:long timeoutSeconds:int
core.ProjectedVolumeSource defaultMode:int defaultUser:long sources:list(core.VolumeProjection)
core.QuobyteVolumeSource group:string readOnly:bool registry!:string tenant:string user:string volume!:string
core.RBDVolumeSource fsType:string image!:string keyring:string="/etc/ceph/keyring" monitors!:list(string) pool:string="rbd" readOnly:bool secretRef:core.LocalObjectReference user:string="admin"
core.ResourceClaim name!:string request:string
core.ResourceFieldSelector atomic containerName:string divisor:quantity resource!:string
core.ResourceHealth health:string message:string resourceID!:string
core.ResourceRequirements claims:list(core.ResourceClaim;key=name) limits:map(quantity) requests:map(quantity)
core.ResourceStatus name!:string resources:list(core.ResourceHealth;key=resourceID)
core.SELinuxOptions level:string role:string type:string user:string
core.ScaleIOVolumeSource fsType:string="xfs" gateway!:string protectionDomain:string readOnly:bool secretRef!:core.LocalObjectReference sslEnabled:bool storageMode:string="ThinProvisioned" storagePool:string system!:string volumeName:string
core.SeccompProfile localhostProfile:string type!:string
core.SecretEnvSource name:string optional:bool
core.SecretKeySelector atomic key!:string name:string optional:bool
core.SecretProjection items:list(core.KeyToPath) name:string optional:bool
core.SecretVolumeSource defaultMode:int defaultUser:long items:list(core.KeyToPath) optional:bool secretName:string
core.SecurityContext allowPrivilegeEscalation:bool appArmorProfile:core.AppArmorProfile capabilities:core.Capabilities privileged:bool procMount:string readOnlyRootFilesystem:bool runAsGroup:long runAsNonRoot:bool runAsUser:long seLinuxOptions:core.SELinuxOptions seccompProfile:core.SeccompProfile windowsOptions:core.WindowsSecurityContextOptions
core.Service apiVersion:string kind:string metadata:meta.ObjectMeta spec:core.ServiceSpec status:core.ServiceStatus
core.ServiceAccount apiVersion:string automountServiceAccountToken:bool imagePullSecrets:list(core.LocalObjectReference) kind:string metadata:meta.ObjectMeta secrets:list(core.ObjectReference;key=name;patch=merge:name)
core.ServiceAccountTokenProjection audience:string expirationSeconds:long path!:string user:long
core.ServicePort appProtocol:string name:string nodePort:int port!:int protocol:string="TCP" targetPort:int-or-string
core.ServiceSpec allocateLoadBalancerNodePorts:bool clusterIP:string clusterIPs:list(string) externalIPs:list(string) externalName:string externalTrafficPolicy:string healthCheckNodePort:int internalTrafficPolicy:string ipFamilies:list(string) ipFamilyPolicy:string loadBalancerClass:string loadBalancerIP:string loadBalancerSourceRanges:list(string) ports:list(core.ServicePort;key=port+protocol;patch=merge:port) publishNotReadyAddresses:bool selector:map(string;atomic) sessionAffinity:string sessionAffinityConfig:core.SessionAffinityConfig trafficDistribution:string type:string
core.ServiceStatus conditions:list(meta.Condition;key=type;patch=merge:type) loadBalancer:core.LoadBalancerStatus
core.SessionAffinityConfig clientIP:core.ClientIPConfig
core.SleepAction seconds!:long
core.StorageOSVolumeSource fsType:string readOnly:bool secretRef:core.LocalObjectReference volumeName:string volumeNamespace:string
core.Sysctl name!:string value!:string
core.TCPSocketAction host:string port!:int-or-string
core.Toleration effect:string key:string operator:string tolerationSeconds:long value:string
core.TopologySpreadConstraint labelSelector:meta.LabelSelector matchLabelKeys:list(string) maxSkew!:int minDomains:int nodeAffinityPolicy:string nodeTaintsPolicy:string topologyKey!:string whenUnsatisfiable!:string
core.TypedLocalObjectReference atomic apiGroup:string kind!:string name!:string
core.TypedObjectReference apiGroup:string kind!:string name!:string namespace:string
core.Volume awsElasticBlockStore:core.AWSElasticBlockStoreVolumeSource azureDisk:core.AzureDiskVolumeSource azureFile:core.AzureFileVolumeSource cephfs:core.CephFSVolumeSource cinder:core.CinderVolumeSource configMap:core.ConfigMapVolumeSource csi:core.CSIVolumeSource downwardAPI:core.DownwardAPIVolumeSource emptyDir:core.EmptyDirVolumeSource ephemeral:core.EphemeralVolumeSource fc:core.FCVolumeSource flexVolume:core.FlexVolumeSource flocker:core.FlockerVolumeSource gcePersistentDisk:core.GCEPersistentDiskVolumeSource gitRepo:core.GitRepoVolumeSource glusterfs:core.GlusterfsVolumeSource hostPath:core.HostPathVolumeSource image:core.ImageVolumeSource iscsi:core.ISCSIVolumeSource name!:string nfs:core.NFSVolumeSource persistentVolumeClaim:core.PersistentVolumeClaimVolumeSource photonPersistentDisk:core.PhotonPersistentDiskVolumeSource portworxVolume:core.PortworxVolumeSource projected:core.ProjectedVolumeSource quobyte:core.QuobyteVolumeSource rbd:core.RBDVolumeSource scaleIO:core.ScaleIOVolumeSource secret:core.SecretVolumeSource storageos:core.StorageOSVolumeSource vsphereVolume:core.VsphereVirtualDiskVolumeSource
core.VolumeDevice devicePath!:string name!:string
core.VolumeHealthCondition message:string reason!:string status!:string
core.VolumeMount bindMountOptions:list(string;set) mountPath!:string mountPropagation:string name!:string readOnly:bool recursiveReadOnly:string subPath:string subPathExpr:string
core.VolumeMountStatus mountPath!:string name!:string readOnly:bool recursiveReadOnly:string volumeStatus:core.VolumeStatus
core.VolumeProjection clusterTrustBundle:core.ClusterTrustBundleProjection configMap:core.ConfigMapProjection downwardAPI:core.DownwardAPIProjection podCertificate:core.PodCertificateProjection secret:core.SecretProjection serviceAccountToken:core.ServiceAccountTokenProjection
core.VolumeResourceRequirements limits:map(quantity) requests:map(quantity)
core.VolumeStatus image:core.ImageVolumeStatus
core.VsphereVirtualDiskVolumeSource fsType:string storagePolicyID:string storagePolicyName:string volumePath!:string
core.WeightedPodAffinityTerm podAffinityTerm!:core.PodAffinityTerm weight!:int
core.WindowsSecurityContextOptions gmsaCredentialSpec:string gmsaCredentialSpecName:string hostProcess:bool runAsUserName:string
discovery.Endpoint addresses!:list(string;set) conditions:discovery.EndpointConditions deprecatedTopology:map(string) hints:discovery.EndpointHints hostname:string nodeName:string targetRef:core.ObjectReference zone:string
discovery.EndpointConditions ready:bool serving:bool terminating:bool
discovery.EndpointHints forNodes:list(discovery.ForNode) forZones:list(discovery.ForZone)
discovery.EndpointPort atomic appProtocol:string name:string port:int protocol:string
discovery.EndpointSlice addressType!:string apiVersion:string endpoints:list(discovery.Endpoint) kind:string metadata:meta.ObjectMeta ports:list(discovery.EndpointPort)
discovery.ForNode name!:string
discovery.ForZone name!:string
events.Event action:string apiVersion:string deprecatedCount:int deprecatedFirstTimestamp:time deprecatedLastTimestamp:time deprecatedSource:core.EventSource eventTime!:microtime kind:string metadata:meta.ObjectMeta note:string reason:string regarding:core.ObjectReference related:core.ObjectReference reportingController:string reportingInstance:string series:events.EventSeries type:string
events.EventSeries count!:int lastObservedTime!:microtime
meta.Condition lastTransitionTime!:time message!:string observedGeneration:long reason!:string status!:string type!:string
meta.DeleteOptions apiVersion:string dryRun:list(string) gracePeriodSeconds:long ignoreStoreReadErrorWithClusterBreakingPotential:bool kind:string orphanDependents:bool preconditions:meta.Preconditions propagationPolicy:string
meta.FieldSelectorRequirement key!:string operator!:string values:list(string)
meta.LabelSelector atomic matchExpressions:list(meta.LabelSelectorRequirement) matchLabels:map(string)
meta.LabelSelectorRequirement key!:string operator!:string values:list(string)
meta.ListMeta continue:string remainingItemCount:long resourceVersion:string selfLink:string shardInfo:meta.ShardInfo
meta.ManagedFieldsEntry apiVersion:string fieldsType:string fieldsV1:object manager:string operation:string subresource:string time:time
meta.ObjectMeta annotations:map(string) creationTimestamp:time deletionGracePeriodSeconds:long deletionTimestamp:time finalizers:list(string;set;patch=merge) generateName:string generation:long labels:map(string) managedFields:list(meta.ManagedFieldsEntry) name:string namespace:string ownerReferences:list(meta.OwnerReference;key=uid;patch=merge:uid) resourceVersion:string selfLink:string uid:string
meta.OwnerReference atomic apiVersion!:string blockOwnerDeletion:bool controller:bool kind!:string name!:string uid!:string
meta.Preconditions resourceVersion:string uid:string
meta.ShardInfo selector!:string
meta.Status apiVersion:string code:int details:meta.StatusDetails kind:string message:string metadata:meta.ListMeta reason:string status:string
meta.StatusCause field:string message:string reason:string
meta.StatusDetails causes:list(meta.StatusCause) group:string kind:string name:string retryAfterSeconds:int uid:string
rbac.PolicyRule apiGroups:list(string) nonResourceURLs:list(string) resourceNames:list(string) resources:list(string) verbs!:list(string)
rbac.Role apiVersion:string kind:string metadata:meta.ObjectMeta rules:list(rbac.PolicyRule)
rbac.RoleBinding apiVersion:string kind:string metadata:meta.ObjectMeta roleRef!:rbac.RoleRef subjects:list(rbac.Subject)
rbac.RoleRef atomic apiGroup:string kind!:string name!:string
rbac.Subject atomic apiGroup:string kind!:string name!:string namespace:string
`;
