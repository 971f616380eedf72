import type {
  ValidatingAdmissionPolicy,
  ValidatingAdmissionPolicyBinding,
} from 'kubernetes-types/admissionregistration/v1.js';
import type { Deployment } from 'kubernetes-types/apps/v1.js';
import type { Pod, Service, ServicePort, ServiceSpec } from 'kubernetes-types/core/v1.js';
import type { EndpointSlice } from 'kubernetes-types/discovery/v1.js';
import type { ObjectMeta } from 'kubernetes-types/meta/v1.js';
import type { NetworkPolicy } from 'kubernetes-types/networking/v1.js';
import type { Role, RoleBinding } from 'kubernetes-types/rbac/v1.js';

export type { ObjectMeta, ServicePort, ServiceSpec };

/** What every object of a manifest has, whatever its kind. */
export interface KubernetesObject {
  /** Group and version, `v1` for the core group. */
  apiVersion: string;
  /** The kind, for example `Service`. */
  kind: string;
  /** Name, namespace, labels and so on. */
  metadata: NamedMeta;
}

/** Metadata with the parts that builders always write. */
export type NamedMeta = ObjectMeta & { name: string };

/**
 * An object in a manifest: the type of the Kubernetes API (from `kubernetes-types`, whose types the build copies), where the fields
 * that every manifest needs are required, although the API makes them optional.
 */
type Manifest<
  Kind extends { apiVersion?: string; kind?: string; metadata?: ObjectMeta },
  Present extends keyof Kind,
> = Kind & {
  apiVersion: NonNullable<Kind['apiVersion']>;
  kind: NonNullable<Kind['kind']>;
  metadata: NamedMeta;
} & { [Field in Present]-?: NonNullable<Kind[Field]> };

/** `v1` Service. */
export type ServiceManifest = Manifest<Service, 'spec'>;

/** `v1` Pod. */
export type PodManifest = Manifest<Pod, 'spec'>;

/** `apps/v1` Deployment. */
export type DeploymentManifest = Manifest<Deployment, 'spec'>;

/** `discovery.k8s.io/v1` EndpointSlice. */
export type EndpointSliceManifest = Manifest<EndpointSlice, 'endpoints' | 'ports'>;

/** `rbac.authorization.k8s.io/v1` Role. */
export type RoleManifest = Manifest<Role, 'rules'>;

/** `rbac.authorization.k8s.io/v1` RoleBinding. */
export type RoleBindingManifest = Manifest<RoleBinding, 'subjects'>;

/** `admissionregistration.k8s.io/v1` ValidatingAdmissionPolicy. */
export type AdmissionPolicyManifest = Manifest<ValidatingAdmissionPolicy, 'spec'>;

/** `admissionregistration.k8s.io/v1` ValidatingAdmissionPolicyBinding. */
export type AdmissionPolicyBindingManifest = Manifest<ValidatingAdmissionPolicyBinding, 'spec'>;

/** `networking.k8s.io/v1` NetworkPolicy. */
export type NetworkPolicyManifest = Manifest<NetworkPolicy, 'spec'>;

/** `cilium.io/v2` CiliumNetworkPolicy, the part that the builders write. Source: Cilium documentation, "DNS based". */
export interface CiliumNetworkPolicyManifest extends KubernetesObject {
  /** Group and version of the custom resource. */
  apiVersion: 'cilium.io/v2';
  /** Kind of the custom resource. */
  kind: 'CiliumNetworkPolicy';
  /** Which pods it is for, and where they may connect to. */
  spec: {
    endpointSelector: { matchLabels?: Record<string, string> };
    egress: CiliumEgressRule[];
  };
}

/** One egress rule of a {@link CiliumNetworkPolicyManifest}. */
export interface CiliumEgressRule {
  /** Pods of the cluster, by their labels. */
  toEndpoints?: { matchLabels: Record<string, string> }[];
  /** Hosts outside the cluster, by the name that was asked for. */
  toFQDNs?: ({ matchName: string } | { matchPattern: string })[];
  /** The ports that the rule is for. */
  toPorts?: {
    ports: { port: string; protocol: 'TCP' | 'UDP' | 'ANY' }[];
    rules?: { dns: ({ matchName: string } | { matchPattern: string })[] };
  }[];
}

/** `networking.istio.io/v1` ServiceEntry, the part that the builder writes. Source: Istio documentation, "Service Entry". */
export interface ServiceEntryManifest extends KubernetesObject {
  /** Group and version of the custom resource. */
  apiVersion: 'networking.istio.io/v1';
  /** Kind of the custom resource. */
  kind: 'ServiceEntry';
  /** Which hosts outside of the mesh may be reached, and by which ports. */
  spec: {
    hosts: string[];
    addresses?: string[];
    ports: { number: number; name: string; protocol: 'TCP' | 'TLS' }[];
    location: 'MESH_EXTERNAL';
    resolution: 'NONE';
    exportTo: string[];
  };
}
