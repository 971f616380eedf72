export { type AddressServiceOptions, addressService, type ServiceForOptions, serviceFor } from './address-service.ts';
export { type TargetAdmissionPolicyOptions, targetAdmissionPolicy } from './admission-policy.ts';
export { type ApplicationDeploymentOptions, applicationDeployment, type PodDnsOptions } from './deployment.ts';
export { type DnsCacheOptions, type DnsCacheSettings, dnsCacheSettings } from './dns-cache.ts';
export { type BuilderChecks, ManifestInvalidError } from './manifest-error.ts';
export {
  type FromExternalNameOptions,
  type MigrationPlan,
  type MigrationStep,
  migrateFromExternalName,
  migrateToExternalName,
  type ToExternalNameOptions,
} from './migration.ts';
export {
  type CiliumNetworkPolicyOptions,
  ciliumNetworkPolicy,
  type EgressDnsOptions,
  type EgressNetworkPolicyOptions,
  type EgressPort,
  egressNetworkPolicy,
} from './network-policy.ts';
export type { ManifestName } from './object-name.ts';
export { type ClientPodOptions, clientPod } from './pod.ts';
export { type RoleSubject, type ServiceRoleOptions, serviceReaderRole, serviceSwitcherRole } from './rbac.ts';
export { type ExternalNameServiceOptions, externalNameService } from './service.ts';
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
} from './switch-patch.ts';
