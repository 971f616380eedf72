export {
  type AddressServiceOptions,
  addressService,
  type ServiceForOptions,
  serviceFor,
} from './manifests/address-service.ts';
export { type TargetAdmissionPolicyOptions, targetAdmissionPolicy } from './manifests/admission-policy.ts';
export {
  type ApplicationDeploymentOptions,
  applicationDeployment,
  type PodDnsOptions,
} from './manifests/deployment.ts';
export { type DnsCacheOptions, type DnsCacheSettings, dnsCacheSettings } from './manifests/dns-cache.ts';
export { type BuilderChecks, ManifestInvalidError } from './manifests/manifest-error.ts';
export {
  type FromExternalNameOptions,
  type MigrationPlan,
  type MigrationStep,
  migrateFromExternalName,
  migrateToExternalName,
  type ToExternalNameOptions,
} from './manifests/migration.ts';
export {
  type CiliumNetworkPolicyOptions,
  ciliumNetworkPolicy,
  type EgressDnsOptions,
  type EgressNetworkPolicyOptions,
  type EgressPort,
  egressNetworkPolicy,
} from './manifests/network-policy.ts';
export type { ManifestName } from './manifests/object-name.ts';
export { type ClientPodOptions, clientPod } from './manifests/pod.ts';
export { type RoleSubject, type ServiceRoleOptions, serviceReaderRole, serviceSwitcherRole } from './manifests/rbac.ts';
export { type ExternalNameServiceOptions, externalNameService } from './manifests/service.ts';
export { type ServiceEntryOptions, type ServiceEntryPort, serviceEntry } from './manifests/service-entry.ts';
export {
  type JsonPatchOperation,
  patchContentTypes,
  type SwitchApplyOptions,
  type SwitchGuard,
  type SwitchJsonPatchOptions,
  type SwitchMergePatch,
  type SwitchPatchAnnotations,
  type SwitchPatchOptions,
  switchApplyConfiguration,
  switchJsonPatch,
  switchMergePatch,
} from './manifests/switch-patch.ts';
export {
  type AddressEndpoint,
  type AddressPort,
  type AdmissionPolicyBindingManifest,
  type AdmissionPolicyManifest,
  type CiliumEgressRule,
  type CiliumNetworkPolicyManifest,
  type DeploymentManifest,
  type EndpointSliceManifest,
  type KubernetesObject,
  ManifestSyntaxError,
  type NamedMeta,
  type NetworkPolicyManifest,
  type ObjectMeta,
  type PathStep,
  type PodManifest,
  parseManifests,
  type RoleBindingManifest,
  type RoleManifest,
  type ServiceEntryManifest,
  type ServiceManifest,
  type ServicePort,
  type ServiceSpec,
  toJson,
  toYaml,
  type YamlProblem,
} from './objects/index.ts';
