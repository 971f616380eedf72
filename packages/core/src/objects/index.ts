export {
  type AddressEndpoint,
  type AddressParts,
  type AddressPort,
  addressObjects,
  endpointSliceManager,
  mostEndpoints,
} from './address-service.ts';
export type {
  AdmissionPolicyBindingManifest,
  AdmissionPolicyManifest,
  CiliumEgressRule,
  CiliumNetworkPolicyManifest,
  DeploymentManifest,
  EndpointSliceManifest,
  KubernetesObject,
  NamedMeta,
  NetworkPolicyManifest,
  ObjectMeta,
  PodManifest,
  RoleBindingManifest,
  RoleManifest,
  ServiceEntryManifest,
  ServiceManifest,
  ServicePort,
  ServiceSpec,
} from './kubernetes.ts';
export { listItems } from './list-items.ts';
export { ManifestSyntaxError, parseManifests, toJson, toYaml } from './manifest-text.ts';
export { longestYaml, type PathStep, readYaml, type YamlDocument, type YamlProblem } from './yaml-document.ts';
