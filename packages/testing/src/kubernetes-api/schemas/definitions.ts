/**
 * The types of the objects that this API server serves, as Kubernetes 1.37 describes them in its OpenAPI document: fields,
 * JSON types, how lists are merged and who may own a part of them.
 *
 * Each line is one type: its name, `atomic` if it is owned as a whole, then its fields as `name@number:type`. The number is the
 * field's in protobuf; `2/4` is field 4 of the message embedded as field 2. A `!` after it means that the field is required,
 * and `=` gives a default. Types are scalars, other types, `map(values)` and `list(items;...)`, with `set` or `key=<fields>` if
 * items are owned one by one, and `patch=merge:<key>` if a strategic merge patch merges them.
 */
export const definitions = `
authentication.BoundObjectReference apiVersion@2:string kind@1:string name@3:string uid@4:string
authentication.TokenRequest apiVersion:string kind:string metadata@1:meta.ObjectMeta spec@2:authentication.TokenRequestSpec status@3:authentication.TokenRequestStatus
authentication.TokenRequestSpec attestations@5:map(list(string)) audiences@1:list(string) boundObjectRef@3:authentication.BoundObjectReference expirationSeconds@4:long
authentication.TokenRequestStatus expirationTimestamp@2:time token@1:string
authorization.FieldSelectorAttributes rawSelector@1:string requirements@2:list(meta.FieldSelectorRequirement)
authorization.LabelSelectorAttributes rawSelector@1:string requirements@2:list(meta.LabelSelectorRequirement)
authorization.NonResourceAttributes path@1:string verb@2:string
authorization.NonResourceRule nonResourceURLs@2:list(string) verbs@1!:list(string)
authorization.ResourceAttributes fieldSelector@8:authorization.FieldSelectorAttributes group@3:string labelSelector@9:authorization.LabelSelectorAttributes name@7:string namespace@1:string resource@5:string subresource@6:string verb@2:string version@4:string
authorization.ResourceRule apiGroups@2:list(string) resourceNames@4:list(string) resources@3:list(string) verbs@1!:list(string)
authorization.SelfSubjectAccessReview apiVersion:string kind:string metadata@1:meta.ObjectMeta spec@2!:authorization.SelfSubjectAccessReviewSpec status@3:authorization.SubjectAccessReviewStatus
authorization.SelfSubjectAccessReviewSpec nonResourceAttributes@2:authorization.NonResourceAttributes resourceAttributes@1:authorization.ResourceAttributes
authorization.SelfSubjectRulesReview apiVersion:string kind:string metadata@1:meta.ObjectMeta spec@2!:authorization.SelfSubjectRulesReviewSpec status@3:authorization.SubjectRulesReviewStatus
authorization.SelfSubjectRulesReviewSpec namespace@1:string
authorization.SubjectAccessReviewStatus allowed@1!:bool denied@4:bool evaluationError@3:string reason@2:string
authorization.SubjectRulesReviewStatus evaluationError@4:string incomplete@3!:bool nonResourceRules@2!:list(authorization.NonResourceRule) resourceRules@1!:list(authorization.ResourceRule)
coordination.Lease apiVersion:string kind:string metadata@1:meta.ObjectMeta spec@2:coordination.LeaseSpec
coordination.LeaseSpec acquireTime@3:microtime holderIdentity@1:string leaseDurationSeconds@2:int leaseTransitions@5:int preferredHolder@7:string renewTime@4:microtime strategy@6:string
core.AWSElasticBlockStoreVolumeSource fsType@2:string partition@3:int readOnly@4:bool volumeID@1!:string
core.Affinity nodeAffinity@1:core.NodeAffinity podAffinity@2:core.PodAffinity podAntiAffinity@3:core.PodAntiAffinity
core.AppArmorProfile localhostProfile@2:string type@1!:string
core.AzureDiskVolumeSource cachingMode@3:string="ReadWrite" diskName@1!:string diskURI@2!:string fsType@4:string="ext4" kind@6:string="Shared" readOnly@5:bool
core.AzureFileVolumeSource readOnly@3:bool secretName@1!:string shareName@2!:string
core.CSIVolumeSource driver@1!:string fsType@3:string nodePublishSecretRef@5:core.LocalObjectReference readOnly@2:bool volumeAttributes@4:map(string)
core.Capabilities add@1:list(string) drop@2:list(string)
core.CephFSVolumeSource monitors@1!:list(string) path@2:string readOnly@6:bool secretFile@4:string secretRef@5:core.LocalObjectReference user@3:string
core.CinderVolumeSource fsType@2:string readOnly@3:bool secretRef@4:core.LocalObjectReference volumeID@1!:string
core.ClientIPConfig timeoutSeconds@1:int
core.ClusterTrustBundleProjection labelSelector@3:meta.LabelSelector name@1:string optional@5:bool path@4!:string signerName@2:string user@6:long
core.ConfigMapEnvSource name@1/1:string optional@2:bool
core.ConfigMapKeySelector atomic key@2!:string name@1/1:string optional@3:bool
core.ConfigMapProjection items@2:list(core.KeyToPath) name@1/1:string optional@4:bool
core.ConfigMapVolumeSource defaultMode@3:int defaultUser@5:long items@2:list(core.KeyToPath) name@1/1:string optional@4:bool
core.Container args@4:list(string) command@3:list(string) env@7:list(core.EnvVar;key=name;patch=merge:name) envFrom@19:list(core.EnvFromSource) image@2:string imagePullPolicy@14:string lifecycle@12:core.Lifecycle livenessProbe@10:core.Probe name@1!:string ports@6:list(core.ContainerPort;key=containerPort+protocol;patch=merge:containerPort) readinessProbe@11:core.Probe resizePolicy@23:list(core.ContainerResizePolicy) resources@8:core.ResourceRequirements restartPolicy@24:string restartPolicyRules@25:list(core.ContainerRestartRule) securityContext@15:core.SecurityContext startupProbe@22:core.Probe stdin@16:bool stdinOnce@17:bool terminationMessagePath@13:string terminationMessagePolicy@20:string tty@18:bool volumeDevices@21:list(core.VolumeDevice;key=devicePath;patch=merge:devicePath) volumeMounts@9:list(core.VolumeMount;key=mountPath;patch=merge:mountPath) workingDir@5:string
core.ContainerExtendedResourceRequest containerName@1!:string requestName@3!:string resourceName@2!:string
core.ContainerPort containerPort@3!:int hostIP@5:string hostPort@2:int name@1:string protocol@4:string="TCP"
core.ContainerResizePolicy resourceName@1!:string restartPolicy@2!:string
core.ContainerRestartRule action@1!:string exitCodes@2:core.ContainerRestartRuleOnExitCodes
core.ContainerRestartRuleOnExitCodes operator@1!:string values@2:list(int;set)
core.ContainerState running@2:core.ContainerStateRunning terminated@3:core.ContainerStateTerminated waiting@1:core.ContainerStateWaiting
core.ContainerStateRunning startedAt@1:time
core.ContainerStateTerminated containerID@7:string exitCode@1!:int finishedAt@6:time message@4:string reason@3:string signal@2:int startedAt@5:time
core.ContainerStateWaiting message@2:string reason@1:string
core.ContainerStatus allocatedResources@10:map(quantity) allocatedResourcesStatus@14:list(core.ResourceStatus;key=name;patch=merge:name) containerID@8:string image@6!:string imageID@7!:string lastState@3:core.ContainerState name@1!:string ready@4!:bool resources@11:core.ResourceRequirements restartCount@5!:int started@9:bool state@2:core.ContainerState stopSignal@15:string user@13:core.ContainerUser volumeMounts@12:list(core.VolumeMountStatus;key=mountPath;patch=merge:mountPath)
core.ContainerUser linux@1:core.LinuxContainerUser
core.DownwardAPIProjection items@1:list(core.DownwardAPIVolumeFile)
core.DownwardAPIVolumeFile fieldRef@2:core.ObjectFieldSelector mode@4:int path@1!:string resourceFieldRef@3:core.ResourceFieldSelector user@5:long
core.DownwardAPIVolumeSource defaultMode@2:int defaultUser@3:long items@1:list(core.DownwardAPIVolumeFile)
core.EmptyDirVolumeSource medium@1:string mode@3:int sizeLimit@2:quantity
core.EnvFromSource configMapRef@2:core.ConfigMapEnvSource prefix@1:string secretRef@3:core.SecretEnvSource
core.EnvVar name@1!:string value@2:string valueFrom@3:core.EnvVarSource
core.EnvVarSource configMapKeyRef@3:core.ConfigMapKeySelector fieldRef@1:core.ObjectFieldSelector fileKeyRef@5:core.FileKeySelector resourceFieldRef@2:core.ResourceFieldSelector secretKeyRef@4:core.SecretKeySelector
core.EphemeralContainer args@1/4:list(string) command@1/3:list(string) env@1/7:list(core.EnvVar;key=name;patch=merge:name) envFrom@1/19:list(core.EnvFromSource) image@1/2:string imagePullPolicy@1/14:string lifecycle@1/12:core.Lifecycle livenessProbe@1/10:core.Probe name@1/1!:string ports@1/6:list(core.ContainerPort;key=containerPort+protocol;patch=merge:containerPort) readinessProbe@1/11:core.Probe resizePolicy@1/23:list(core.ContainerResizePolicy) resources@1/8:core.ResourceRequirements restartPolicy@1/24:string restartPolicyRules@1/25:list(core.ContainerRestartRule) securityContext@1/15:core.SecurityContext startupProbe@1/22:core.Probe stdin@1/16:bool stdinOnce@1/17:bool targetContainerName@2:string terminationMessagePath@1/13:string terminationMessagePolicy@1/20:string tty@1/18:bool volumeDevices@1/21:list(core.VolumeDevice;key=devicePath;patch=merge:devicePath) volumeMounts@1/9:list(core.VolumeMount;key=mountPath;patch=merge:mountPath) workingDir@1/5:string
core.EphemeralVolumeSource volumeClaimTemplate@1:core.PersistentVolumeClaimTemplate
core.Event action@12:string apiVersion:string count@8:int eventTime@10:microtime firstTimestamp@6:time involvedObject@2!:core.ObjectReference kind:string lastTimestamp@7:time message@4:string metadata@1!:meta.ObjectMeta reason@3:string related@13:core.ObjectReference reportingComponent@14:string reportingInstance@15:string series@11:core.EventSeries source@5:core.EventSource type@9:string
core.EventSeries count@1:int lastObservedTime@2:microtime
core.EventSource component@1:string host@2:string
core.EvictionResponder atomic name@1!:string priority@2!:int
core.ExecAction command@1:list(string)
core.FCVolumeSource fsType@3:string lun@2:int readOnly@4:bool targetWWNs@1:list(string) wwids@5:list(string)
core.FileKeySelector atomic key@3!:string optional@4:bool path@2!:string volumeName@1!:string
core.FlexVolumeSource driver@1!:string fsType@2:string options@5:map(string) readOnly@4:bool secretRef@3:core.LocalObjectReference
core.FlockerVolumeSource datasetName@1:string datasetUUID@2:string
core.GCEPersistentDiskVolumeSource fsType@2:string partition@3:int pdName@1!:string readOnly@4:bool
core.GRPCAction mode@3:string port@1!:int service@2:string
core.GitRepoVolumeSource directory@3:string repository@1!:string revision@2:string
core.GlusterfsVolumeSource endpoints@1!:string path@2!:string readOnly@3:bool
core.HTTPGetAction host@3:string httpHeaders@5:list(core.HTTPHeader) path@1:string port@2!:int-or-string protocol@6:string scheme@4:string
core.HTTPHeader name@1!:string value@2!:string
core.HostAlias hostnames@2:list(string) ip@1!:string
core.HostIP ip@1!:string
core.HostPathVolumeSource path@1!:string type@2:string
core.ISCSIVolumeSource chapAuthDiscovery@8:bool chapAuthSession@11:bool fsType@5:string initiatorName@12:string iqn@2!:string iscsiInterface@4:string="default" lun@3!:int portals@7:list(string) readOnly@6:bool secretRef@10:core.LocalObjectReference targetPortal@1!:string
core.ImageVolumeSource pullPolicy@2:string reference@1:string
core.ImageVolumeStatus imageRef@1!:string
core.KeyToPath key@1!:string mode@3:int path@2!:string user@4:long
core.Lifecycle postStart@1:core.LifecycleHandler preStop@2:core.LifecycleHandler stopSignal@3:string
core.LifecycleHandler exec@1:core.ExecAction httpGet@2:core.HTTPGetAction sleep@4:core.SleepAction tcpSocket@3:core.TCPSocketAction
core.LinuxContainerUser gid@2!:long supplementalGroups@3:list(long) uid@1!:long
core.LoadBalancerIngress hostname@2:string ip@1:string ipMode@3:string ports@4:list(core.PortStatus)
core.LoadBalancerStatus ingress@1:list(core.LoadBalancerIngress)
core.LocalObjectReference atomic name@1:string
core.NFSVolumeSource path@2!:string readOnly@3:bool server@1!:string
core.Namespace apiVersion:string kind:string metadata@1:meta.ObjectMeta spec@2:core.NamespaceSpec status@3:core.NamespaceStatus
core.NamespaceCondition lastTransitionTime@4:time message@6:string reason@5:string status@2!:string type@1!:string
core.NamespaceSpec finalizers@1:list(string)
core.NamespaceStatus conditions@2:list(core.NamespaceCondition;key=type;patch=merge:type) phase@1:string
core.NodeAffinity preferredDuringSchedulingIgnoredDuringExecution@2:list(core.PreferredSchedulingTerm) requiredDuringSchedulingIgnoredDuringExecution@1:core.NodeSelector
core.NodeAllocatableMappedResources name@1!:string quantity@2!:quantity
core.NodeAllocatableOverheadResources name@1!:string perContainer@3:quantity perPod@2:quantity
core.NodeAllocatableResourceClaimStatus containers@2:list(string;set) mapping@4:list(core.NodeAllocatableMappedResources;key=name;patch=merge:name) overhead@5:list(core.NodeAllocatableOverheadResources;key=name;patch=merge:name) resourceClaimName@1!:string
core.NodeSelector atomic nodeSelectorTerms@1!:list(core.NodeSelectorTerm)
core.NodeSelectorRequirement key@1!:string operator@2!:string values@3:list(string)
core.NodeSelectorTerm atomic matchExpressions@1:list(core.NodeSelectorRequirement) matchFields@2:list(core.NodeSelectorRequirement)
core.ObjectFieldSelector atomic apiVersion@1:string fieldPath@2!:string
core.ObjectReference atomic apiVersion@5:string fieldPath@7:string kind@1:string name@3:string namespace@2:string resourceVersion@6:string uid@4:string
core.PersistentVolumeClaimSpec accessModes@1:list(string) dataSource@7:core.TypedLocalObjectReference dataSourceRef@8:core.TypedObjectReference resources@2:core.VolumeResourceRequirements selector@4:meta.LabelSelector storageClassName@5:string volumeAttributesClassName@9:string volumeMode@6:string volumeName@3:string
core.PersistentVolumeClaimTemplate metadata@1:meta.ObjectMeta spec@2!:core.PersistentVolumeClaimSpec
core.PersistentVolumeClaimVolumeSource claimName@1!:string readOnly@2:bool
core.PhotonPersistentDiskVolumeSource fsType@2:string pdID@1!:string
core.Pod apiVersion:string kind:string metadata@1:meta.ObjectMeta spec@2:core.PodSpec status@3:core.PodStatus
core.PodAffinity preferredDuringSchedulingIgnoredDuringExecution@2:list(core.WeightedPodAffinityTerm) requiredDuringSchedulingIgnoredDuringExecution@1:list(core.PodAffinityTerm)
core.PodAffinityTerm labelSelector@1:meta.LabelSelector matchLabelKeys@5:list(string) mismatchLabelKeys@6:list(string) namespaceSelector@4:meta.LabelSelector namespaces@2:list(string) topologyKey@3!:string
core.PodAntiAffinity preferredDuringSchedulingIgnoredDuringExecution@2:list(core.WeightedPodAffinityTerm) requiredDuringSchedulingIgnoredDuringExecution@1:list(core.PodAffinityTerm)
core.PodCertificateProjection certificateChainPath@6:string credentialBundlePath@4:string keyPath@5:string keyType@2!:string maxExpirationSeconds@3:int signerName@1!:string user@8:long userAnnotations@7:map(string)
core.PodCondition lastProbeTime@3:time lastTransitionTime@4:time message@6:string observedGeneration@7:long reason@5:string status@2!:string type@1!:string
core.PodDNSConfig nameservers@1:list(string) options@3:list(core.PodDNSConfigOption) searches@2:list(string)
core.PodDNSConfigOption name@1:string value@2:string
core.PodExtendedResourceClaimStatus requestMappings@1!:list(core.ContainerExtendedResourceRequest) resourceClaimName@2!:string
core.PodIP ip@1!:string
core.PodOS name@1!:string
core.PodReadinessGate conditionType@1!:string
core.PodResourceClaim name@1!:string resourceClaimName@3:string resourceClaimTemplateName@4:string
core.PodResourceClaimStatus name@1!:string resourceClaimName@2:string
core.PodSchedulingGate name@1!:string
core.PodSchedulingGroup podGroupName@1:string
core.PodSecurityContext appArmorProfile@11:core.AppArmorProfile fsGroup@5:long fsGroupChangePolicy@9:string runAsGroup@6:long runAsNonRoot@3:bool runAsUser@2:long seLinuxChangePolicy@13:string seLinuxOptions@1:core.SELinuxOptions seccompProfile@10:core.SeccompProfile supplementalGroups@4:list(long) supplementalGroupsPolicy@12:string sysctls@7:list(core.Sysctl) windowsOptions@8:core.WindowsSecurityContextOptions
core.PodSpec activeDeadlineSeconds@5:long affinity@18:core.Affinity automountServiceAccountToken@21:bool containers@2!:list(core.Container;key=name;patch=merge:name) dnsConfig@26:core.PodDNSConfig dnsPolicy@6:string enableServiceLinks@30:bool ephemeralContainers@34:list(core.EphemeralContainer;key=name;patch=merge:name) evictionResponders@44:list(core.EvictionResponder;key=name;patch=merge:name) hostAliases@23:list(core.HostAlias;key=ip;patch=merge:ip) hostIPC@13:bool hostNetwork@11:bool hostPID@12:bool hostUsers@37:bool hostname@16:string hostnameOverride@41:string imagePullSecrets@15:list(core.LocalObjectReference;key=name;patch=merge:name) initContainers@20:list(core.Container;key=name;patch=merge:name) nodeName@10:string nodeSelector@7:map(string;atomic) os@36:core.PodOS overhead@32:map(quantity) preemptionPolicy@31:string priority@25:int priorityClassName@24:string readinessGates@28:list(core.PodReadinessGate) resourceClaims@39:list(core.PodResourceClaim;key=name;patch=merge+retainKeys:name) resources@40:core.ResourceRequirements restartPolicy@3:string runtimeClassName@29:string schedulerName@19:string schedulingGates@38:list(core.PodSchedulingGate;key=name;patch=merge:name) schedulingGroup@43:core.PodSchedulingGroup securityContext@14:core.PodSecurityContext serviceAccount@9:string serviceAccountName@8:string setHostnameAsFQDN@35:bool shareProcessNamespace@27:bool subdomain@17:string terminationGracePeriodSeconds@4:long tolerations@22:list(core.Toleration) topologySpreadConstraints@33:list(core.TopologySpreadConstraint;key=topologyKey+whenUnsatisfiable;patch=merge:topologyKey) volumes@1:list(core.Volume;key=name;patch=merge+retainKeys:name)
core.PodStatus allocatedResources@19:map(quantity) conditions@2:list(core.PodCondition;key=type;patch=merge:type) containerStatuses@8:list(core.ContainerStatus) ephemeralContainerStatuses@13:list(core.ContainerStatus) extendedResourceClaimStatus@18:core.PodExtendedResourceClaimStatus hostIP@5:string hostIPs@16:list(core.HostIP;patch=merge:ip) initContainerStatuses@10:list(core.ContainerStatus) message@3:string nodeAllocatableResourceClaimStatuses@21:list(core.NodeAllocatableResourceClaimStatus;key=resourceClaimName;patch=merge:resourceClaimName) nominatedNodeName@11:string observedGeneration@17:long phase@1:string podIP@6:string podIPs@12:list(core.PodIP;key=ip;patch=merge:ip) qosClass@9:string reason@4:string resize@14:string resourceClaimStatuses@15:list(core.PodResourceClaimStatus;key=name;patch=merge+retainKeys:name) resources@20:core.ResourceRequirements startTime@7:time volumeHealth@22:list(core.PodVolumeHealth;key=name)
core.PodVolumeHealth healthConditions@2:list(core.VolumeHealthCondition;key=status+reason;patch=merge:status) lastTransitionTime@3:time name@1!:string
core.PortStatus error@3:string port@1!:int protocol@2!:string
core.PortworxVolumeSource fsType@2:string readOnly@3:bool volumeID@1!:string
core.PreferredSchedulingTerm preference@2!:core.NodeSelectorTerm weight@1!:int
core.Probe exec@1/1:core.ExecAction failureThreshold@6:int grpc@1/4:core.GRPCAction httpGet@1/2:core.HTTPGetAction initialDelaySeconds@2:int periodSeconds@4:int successThreshold@5:int tcpSocket@1/3:core.TCPSocketAction terminationGracePeriodSeconds@7:long timeoutSeconds@3:int
core.ProjectedVolumeSource defaultMode@2:int defaultUser@3:long sources@1:list(core.VolumeProjection)
core.QuobyteVolumeSource group@5:string readOnly@3:bool registry@1!:string tenant@6:string user@4:string volume@2!:string
core.RBDVolumeSource fsType@3:string image@2!:string keyring@6:string="/etc/ceph/keyring" monitors@1!:list(string) pool@4:string="rbd" readOnly@8:bool secretRef@7:core.LocalObjectReference user@5:string="admin"
core.ResourceClaim name@1!:string request@2:string
core.ResourceFieldSelector atomic containerName@1:string divisor@3:quantity resource@2!:string
core.ResourceHealth health@2:string message@6:string resourceID@1!:string
core.ResourceRequirements claims@3:list(core.ResourceClaim;key=name) limits@1:map(quantity) requests@2:map(quantity)
core.ResourceStatus name@1!:string resources@2:list(core.ResourceHealth;key=resourceID)
core.SELinuxOptions level@4:string role@2:string type@3:string user@1:string
core.ScaleIOVolumeSource fsType@9:string="xfs" gateway@1!:string protectionDomain@5:string readOnly@10:bool secretRef@3!:core.LocalObjectReference sslEnabled@4:bool storageMode@7:string="ThinProvisioned" storagePool@6:string system@2!:string volumeName@8:string
core.SeccompProfile localhostProfile@2:string type@1!:string
core.SecretEnvSource name@1/1:string optional@2:bool
core.SecretKeySelector atomic key@2!:string name@1/1:string optional@3:bool
core.SecretProjection items@2:list(core.KeyToPath) name@1/1:string optional@4:bool
core.SecretVolumeSource defaultMode@3:int defaultUser@5:long items@2:list(core.KeyToPath) optional@4:bool secretName@1:string
core.SecurityContext allowPrivilegeEscalation@7:bool appArmorProfile@12:core.AppArmorProfile capabilities@1:core.Capabilities privileged@2:bool procMount@9:string readOnlyRootFilesystem@6:bool runAsGroup@8:long runAsNonRoot@5:bool runAsUser@4:long seLinuxOptions@3:core.SELinuxOptions seccompProfile@11:core.SeccompProfile windowsOptions@10:core.WindowsSecurityContextOptions
core.Service apiVersion:string kind:string metadata@1:meta.ObjectMeta spec@2:core.ServiceSpec status@3:core.ServiceStatus
core.ServiceAccount apiVersion:string automountServiceAccountToken@4:bool imagePullSecrets@3:list(core.LocalObjectReference) kind:string metadata@1:meta.ObjectMeta secrets@2:list(core.ObjectReference;key=name;patch=merge:name)
core.ServiceAccountTokenProjection audience@1:string expirationSeconds@2:long path@3!:string user@4:long
core.ServicePort appProtocol@6:string name@1:string nodePort@5:int port@3!:int protocol@2:string="TCP" targetPort@4:int-or-string
core.ServiceSpec allocateLoadBalancerNodePorts@20:bool clusterIP@3:string clusterIPs@18:list(string) externalIPs@5:list(string) externalName@10:string externalTrafficPolicy@11:string healthCheckNodePort@12:int internalTrafficPolicy@22:string ipFamilies@19:list(string) ipFamilyPolicy@17:string loadBalancerClass@21:string loadBalancerIP@8:string loadBalancerSourceRanges@9:list(string) ports@1:list(core.ServicePort;key=port+protocol;patch=merge:port) publishNotReadyAddresses@13:bool selector@2:map(string;atomic) sessionAffinity@7:string sessionAffinityConfig@14:core.SessionAffinityConfig trafficDistribution@23:string type@4:string
core.ServiceStatus conditions@2:list(meta.Condition;key=type;patch=merge:type) loadBalancer@1:core.LoadBalancerStatus
core.SessionAffinityConfig clientIP@1:core.ClientIPConfig
core.SleepAction seconds@1!:long
core.StorageOSVolumeSource fsType@3:string readOnly@4:bool secretRef@5:core.LocalObjectReference volumeName@1:string volumeNamespace@2:string
core.Sysctl name@1!:string value@2!:string
core.TCPSocketAction host@2:string port@1!:int-or-string
core.Toleration effect@4:string key@1:string operator@2:string tolerationSeconds@5:long value@3:string
core.TopologySpreadConstraint labelSelector@4:meta.LabelSelector matchLabelKeys@8:list(string) maxSkew@1!:int minDomains@5:int nodeAffinityPolicy@6:string nodeTaintsPolicy@7:string topologyKey@2!:string whenUnsatisfiable@3!:string
core.TypedLocalObjectReference atomic apiGroup@1:string kind@2!:string name@3!:string
core.TypedObjectReference apiGroup@1:string kind@2!:string name@3!:string namespace@4:string
core.Volume awsElasticBlockStore@2/4:core.AWSElasticBlockStoreVolumeSource azureDisk@2/22:core.AzureDiskVolumeSource azureFile@2/18:core.AzureFileVolumeSource cephfs@2/14:core.CephFSVolumeSource cinder@2/13:core.CinderVolumeSource configMap@2/19:core.ConfigMapVolumeSource csi@2/28:core.CSIVolumeSource downwardAPI@2/16:core.DownwardAPIVolumeSource emptyDir@2/2:core.EmptyDirVolumeSource ephemeral@2/29:core.EphemeralVolumeSource fc@2/17:core.FCVolumeSource flexVolume@2/12:core.FlexVolumeSource flocker@2/15:core.FlockerVolumeSource gcePersistentDisk@2/3:core.GCEPersistentDiskVolumeSource gitRepo@2/5:core.GitRepoVolumeSource glusterfs@2/9:core.GlusterfsVolumeSource hostPath@2/1:core.HostPathVolumeSource image@2/30:core.ImageVolumeSource iscsi@2/8:core.ISCSIVolumeSource name@1!:string nfs@2/7:core.NFSVolumeSource persistentVolumeClaim@2/10:core.PersistentVolumeClaimVolumeSource photonPersistentDisk@2/23:core.PhotonPersistentDiskVolumeSource portworxVolume@2/24:core.PortworxVolumeSource projected@2/26:core.ProjectedVolumeSource quobyte@2/21:core.QuobyteVolumeSource rbd@2/11:core.RBDVolumeSource scaleIO@2/25:core.ScaleIOVolumeSource secret@2/6:core.SecretVolumeSource storageos@2/27:core.StorageOSVolumeSource vsphereVolume@2/20:core.VsphereVirtualDiskVolumeSource
core.VolumeDevice devicePath@2!:string name@1!:string
core.VolumeHealthCondition message@3:string reason@2!:string status@1!:string
core.VolumeMount bindMountOptions@8:list(string;set) mountPath@3!:string mountPropagation@5:string name@1!:string readOnly@2:bool recursiveReadOnly@7:string subPath@4:string subPathExpr@6:string
core.VolumeMountStatus mountPath@2!:string name@1!:string readOnly@3:bool recursiveReadOnly@4:string volumeStatus@5:core.VolumeStatus
core.VolumeProjection clusterTrustBundle@5:core.ClusterTrustBundleProjection configMap@3:core.ConfigMapProjection downwardAPI@2:core.DownwardAPIProjection podCertificate@6:core.PodCertificateProjection secret@1:core.SecretProjection serviceAccountToken@4:core.ServiceAccountTokenProjection
core.VolumeResourceRequirements limits@1:map(quantity) requests@2:map(quantity)
core.VolumeStatus image@1:core.ImageVolumeStatus
core.VsphereVirtualDiskVolumeSource fsType@2:string storagePolicyID@4:string storagePolicyName@3:string volumePath@1!:string
core.WeightedPodAffinityTerm podAffinityTerm@2!:core.PodAffinityTerm weight@1!:int
core.WindowsSecurityContextOptions gmsaCredentialSpec@2:string gmsaCredentialSpecName@1:string hostProcess@4:bool runAsUserName@3:string
discovery.Endpoint addresses@1!:list(string;set) conditions@2:discovery.EndpointConditions deprecatedTopology@5:map(string) hints@8:discovery.EndpointHints hostname@3:string nodeName@6:string targetRef@4:core.ObjectReference zone@7:string
discovery.EndpointConditions ready@1:bool serving@2:bool terminating@3:bool
discovery.EndpointHints forNodes@2:list(discovery.ForNode) forZones@1:list(discovery.ForZone)
discovery.EndpointPort atomic appProtocol@4:string name@1:string port@3:int protocol@2:string
discovery.EndpointSlice addressType@4!:string apiVersion:string endpoints@2:list(discovery.Endpoint) kind:string metadata@1:meta.ObjectMeta ports@3:list(discovery.EndpointPort)
discovery.ForNode name@1!:string
discovery.ForZone name@1!:string
events.Event action@6:string apiVersion:string deprecatedCount@15:int deprecatedFirstTimestamp@13:time deprecatedLastTimestamp@14:time deprecatedSource@12:core.EventSource eventTime@2!:microtime kind:string metadata@1:meta.ObjectMeta note@10:string reason@7:string regarding@8:core.ObjectReference related@9:core.ObjectReference reportingController@4:string reportingInstance@5:string series@3:events.EventSeries type@11:string
events.EventSeries count@1!:int lastObservedTime@2!:microtime
meta.Condition lastTransitionTime@4!:time message@6!:string observedGeneration@3:long reason@5!:string status@2!:string type@1!:string
meta.DeleteOptions apiVersion:string dryRun@5:list(string) gracePeriodSeconds@1:long ignoreStoreReadErrorWithClusterBreakingPotential@6:bool kind:string orphanDependents@3:bool preconditions@2:meta.Preconditions propagationPolicy@4:string
meta.FieldSelectorRequirement key@1!:string operator@2!:string values@3:list(string)
meta.LabelSelector atomic matchExpressions@2:list(meta.LabelSelectorRequirement) matchLabels@1:map(string)
meta.LabelSelectorRequirement key@1!:string operator@2!:string values@3:list(string)
meta.ListMeta continue@3:string remainingItemCount@4:long resourceVersion@2:string selfLink@1:string shardInfo@5:meta.ShardInfo
meta.ManagedFieldsEntry apiVersion@3:string fieldsType@6:string fieldsV1@7:object manager@1:string operation@2:string subresource@8:string time@4:time
meta.ObjectMeta annotations@12:map(string) creationTimestamp@8:time deletionGracePeriodSeconds@10:long deletionTimestamp@9:time finalizers@14:list(string;set;patch=merge) generateName@2:string generation@7:long labels@11:map(string) managedFields@17:list(meta.ManagedFieldsEntry) name@1:string namespace@3:string ownerReferences@13:list(meta.OwnerReference;key=uid;patch=merge:uid) resourceVersion@6:string selfLink@4:string uid@5:string
meta.OwnerReference atomic apiVersion@5!:string blockOwnerDeletion@7:bool controller@6:bool kind@1!:string name@3!:string uid@4!:string
meta.Preconditions resourceVersion@2:string uid@1:string
meta.ShardInfo selector@1!:string
meta.Status apiVersion:string code@6:int details@5:meta.StatusDetails kind:string message@3:string metadata@1:meta.ListMeta reason@4:string status@2:string
meta.StatusCause field@3:string message@2:string reason@1:string
meta.StatusDetails causes@4:list(meta.StatusCause) group@2:string kind@3:string name@1:string retryAfterSeconds@5:int uid@6:string
rbac.PolicyRule apiGroups@2:list(string) nonResourceURLs@5:list(string) resourceNames@4:list(string) resources@3:list(string) verbs@1!:list(string)
rbac.Role apiVersion:string kind:string metadata@1:meta.ObjectMeta rules@2:list(rbac.PolicyRule)
rbac.RoleBinding apiVersion:string kind:string metadata@1:meta.ObjectMeta roleRef@3!:rbac.RoleRef subjects@2:list(rbac.Subject)
rbac.RoleRef atomic apiGroup@1:string kind@2!:string name@3!:string
rbac.Subject atomic apiGroup@2:string kind@1!:string name@3!:string namespace@4:string
`;
