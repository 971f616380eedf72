import type { Dependencies, ServiceReference, WaitOptions } from '@externalname/core';
import {
  aNumber,
  anything,
  aSignal,
  aText,
  checkOptions,
  dependenciesOf,
  optional,
  ownOptions,
  printable,
  type Shapes,
} from '@externalname/core/internal';
import { record } from '../api/json.ts';
import { checkKubeConfig, type KubeConfigOption } from '../api/kube-config.ts';
import { KubernetesApi } from '../api/kubernetes-api.ts';
import { pendingReference } from '../api/reference.ts';
import { getService, readService, servicePath } from '../api/services.ts';
import type { ClusterName } from '../kubeconfig/cluster-name.ts';
import { gitOpsOwners, readServiceToSwitch } from '../switch/service-object.ts';
import { readSwitchRecord, type SwitchRecord } from '../switch/switch-patch.ts';

/** What all functions that only look have in common. */
export interface InspectOptions extends WaitOptions {
  /** Completes a short name. @defaultValue that of the kubeconfig's context or of the pod, else `default` */
  namespace?: string | undefined;
  /** Where the API is, and how to log in. @defaultValue as kubectl: the files that `KUBECONFIG` lists, else `~/.kube/config`, else the pod's service account */
  kubeConfig?: KubeConfigOption | undefined;
  /** Longest time for one request to the API. Milliseconds, 100 to 60000. @defaultValue 10000 */
  requestTimeoutMillis?: number | undefined;
}

/** See {@link inspectService}. */
export interface InspectServiceOptions extends InspectOptions {
  /** `webscaler-db`, or with its namespace: `webscaler-db.default`. */
  service: string;
  /** The cluster's domain. @defaultValue the one in `service`, else that of resolv.conf, else `cluster.local` */
  clusterDomain?: string | undefined;
}

/** A Service as the API server has it, and who writes its `spec.externalName`. */
export interface ServiceInspection {
  /** Its names. */
  readonly reference: ServiceReference;
  /** The cluster that was asked. */
  readonly cluster: ClusterName | undefined;
  /** Every field, as the API server has it: for `validate()` of core. */
  readonly object: Readonly<Record<string, unknown>>;
  /** Canonical form of `spec.externalName`; undefined unless the Service is of type ExternalName. */
  readonly target: string | undefined;
  /** The tools that will put the old name back after a switch: Argo CD, Flux, Helm, field managers of server-side apply. */
  readonly owners: readonly string[];
  /** Who has written `spec.externalName`, by `metadata.managedFields`. */
  readonly writers: readonly FieldWriter[];
  /** The last switch that `switchTarget()` recorded. */
  readonly lastSwitch: SwitchRecord | undefined;
}

/** An entry of `metadata.managedFields` with `spec.externalName` among its fields. */
export interface FieldWriter {
  /** `kubectl-client-side-apply`, `argocd-controller`, ...; `externalname` for switches of ours. */
  readonly manager: string;
  /** `Apply` or `Update` */
  readonly operation: string;
}

/**
 * Reads a Service, whatever its type is, with who writes its `spec.externalName`. Needs `get` on that Service, and changes nothing.
 *
 * @throws ServiceNotFoundError `ERR_EXTERNALNAME_SERVICE_NOT_FOUND`
 * @throws KubernetesForbiddenError `ERR_EXTERNALNAME_KUBERNETES_FORBIDDEN`, and the other errors of the API
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT`
 *
 * @example
 * ```ts
 * const { target, owners } = await inspectService({ service: 'webscaler-db' });
 * console.log(target, owners); // primary-db.example.com [ 'Argo CD (field manager argocd-controller)' ]
 * ```
 */
export async function inspectService(
  given: InspectServiceOptions,
  dependencies: Dependencies = {},
): Promise<ServiceInspection> {
  const options = ownOptions(given);
  checkOptions<object>(options, { ...inspectShapes, service: aText, clusterDomain: optional(aText) });
  const { api, timeoutMillis, signal } = apiOf(options, dependencies);
  const reference = await pendingReference(options, () => api.namespace()).complete();
  const read = (object: unknown) => {
    const service = readServiceToSwitch(object);
    return service && { ...service, object: record(object) };
  };
  const { object, ...service } = await getService(api, reference, read, { timeoutMillis, signal });
  return {
    reference,
    cluster: await api.cluster(),
    object,
    target: service.target,
    owners: gitOpsOwners(service),
    writers: service.managedFields
      .filter(({ ownsExternalName }) => ownsExternalName)
      .map(({ manager, operation }) => ({ manager: printable(manager, 100), operation: printable(operation, 100) })),
    lastSwitch: readSwitchRecord(service),
  };
}

/** A Service in a list. */
export interface ListedService {
  /** `metadata.name` */
  readonly name: string;
  /** `metadata.namespace` */
  readonly namespace: string;
  /** `spec.externalName`, as it is written. */
  readonly externalName: string;
}

/**
 * The Services of type ExternalName in a namespace, by name: at most 500. Needs `list` on Services.
 *
 * @throws KubernetesForbiddenError `ERR_EXTERNALNAME_KUBERNETES_FORBIDDEN`, and the other errors of the API
 */
export async function listServices(
  given: InspectOptions = {},
  dependencies: Dependencies = {},
): Promise<ListedService[]> {
  const options = ownOptions(given);
  checkOptions<object>(options, inspectShapes);
  const { api, timeoutMillis, signal } = apiOf(options, dependencies);
  const reference = await pendingReference({ ...options, service: 'any' }, () => api.namespace()).complete();
  const answer = await api.json({
    attempt: { verb: 'list', group: '', resource: 'services', namespace: reference.namespace },
    path: servicePath(reference),
    query: { limit: String(mostListed) },
    timeoutMillis,
    signal,
  });
  const { items } = record(answer);
  const services = (Array.isArray(items) ? items : []).slice(0, mostListed).map(readService);
  return services.flatMap((service) =>
    service?.type === 'ExternalName'
      ? [{ name: service.name, namespace: service.namespace, externalName: service.externalName ?? '' }]
      : [],
  );
}

/** The shapes of {@link InspectOptions}. */
export const inspectShapes: Shapes<InspectOptions> = {
  namespace: optional(aText),
  kubeConfig: anything,
  requestTimeoutMillis: optional(aNumber({ least: 100, most: 60_000, whole: true })),
  signal: aSignal,
};

/** The API that the options name, after they were checked. */
export function apiOf(
  { kubeConfig, requestTimeoutMillis = 10_000, signal }: InspectOptions,
  dependencies: Dependencies,
): { readonly api: KubernetesApi; readonly timeoutMillis: number; readonly signal: AbortSignal | undefined } {
  checkKubeConfig(kubeConfig);
  const { clock } = dependenciesOf(dependencies);
  return { api: new KubernetesApi(kubeConfig, clock), timeoutMillis: requestTimeoutMillis, signal };
}

const mostListed = 500;
