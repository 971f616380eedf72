import { InvalidArgumentError } from '../errors.ts';
import { checkObject } from '../input.ts';
import type { EndpointSliceManifest, ServiceManifest } from '../objects/index.ts';
import { aText, checkOptions, listOf, objectOf, oneOf, optional, recordOf } from '../shape.ts';
import { serviceIssues } from '../validation/index.ts';
import { type BuilderChecks, checkShapes, ManifestInvalidError } from './manifest-error.ts';
import { externalNameService } from './service.ts';
import { patchContentTypes } from './switch-patch.ts';

/** One thing to do, in the order of the plan. */
export interface MigrationStep {
  /** What kind of step it is. */
  readonly action: 'patch' | 'delete-endpoint-slices' | 'verify';
  /** What it does and why, in a sentence. */
  readonly description: string;
  /** The `Content-Type` and body of the request, for a `patch`. */
  readonly contentType?: string;
  /** Body of the request, if it has one. */
  readonly body?: object;
  /** The command that does the same. */
  readonly command: string;
  /** What else the step changes. */
  readonly sideEffects: readonly string[];
}

/** The steps that change a Service's type, as the API server requires them. */
export interface MigrationPlan {
  /** The type that the Service has. */
  readonly from: 'ClusterIP' | 'headless' | 'NodePort' | 'LoadBalancer' | 'ExternalName';
  /** The type that it has afterwards. */
  readonly to: 'ClusterIP' | 'headless' | 'ExternalName';
  /** What to do, in this order. */
  readonly steps: readonly MigrationStep[];
  /** The Service after the plan, without status and metadata that the server sets. */
  readonly result: ServiceManifest;
}

/** See {@link migrateToExternalName}. */
export interface ToExternalNameOptions extends BuilderChecks {
  /** The host that the Service is to point to. */
  externalName: string;
}

/**
 * Plans the change from a ClusterIP, headless, NodePort or LoadBalancer Service to ExternalName, in place, by one merge
 * patch. The server drops cluster IPs, IP families, node ports and the load balancer's fields by itself if they are left
 * unchanged. The patch clears the fields that the server would keep without use (ports, selector, policies) or refuse
 * (source ranges).
 *
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT` if the Service is of type ExternalName already.
 * @throws ManifestInvalidError `ERR_EXTERNALNAME_MANIFEST_INVALID` for an invalid target.
 *
 * Source: `dropTypeDependentFields` in `pkg/registry/core/service/strategy.go`.
 */
export function migrateToExternalName(current: ServiceManifest, options: ToExternalNameOptions): MigrationPlan {
  aService('current', current);
  checkOptions(options, { ...checkShapes, externalName: aText });
  const from = kindOf(current);
  if (from === 'ExternalName')
    throw new InvalidArgumentError(
      'current',
      'this Service is already of type ExternalName: switch it with switchJsonPatch',
    );
  const { spec, metadata } = current;
  const result = externalNameService({ ...nameOf(current), ...options });
  const cleared = [
    'ports',
    'selector',
    'sessionAffinity',
    'sessionAffinityConfig',
    'internalTrafficPolicy',
    'externalIPs',
    'loadBalancerSourceRanges',
    'loadBalancerIP',
    'trafficDistribution',
    'publishNotReadyAddresses',
  ] as const;
  const annotation =
    metadata.annotations?.[sourceRanges] === undefined ? {} : { annotations: { [sourceRanges]: null } };
  const guard = metadata.resourceVersion === undefined ? {} : { resourceVersion: metadata.resourceVersion };
  const body = {
    ...(Object.keys({ ...annotation, ...guard }).length > 0 ? { metadata: { ...guard, ...annotation } } : {}),
    spec: {
      type: 'ExternalName',
      externalName: options.externalName,
      ...Object.fromEntries(cleared.filter((field) => spec[field] !== undefined).map((field) => [field, null])),
    },
  };
  confirm(body, current, options);
  const address = spec.clusterIP !== undefined && spec.clusterIP !== 'None' ? spec.clusterIP : undefined;
  const steps = [
    patchStep(current, body, 'Change the type in place. The object, its uid and its DNS name stay.', [
      address === undefined
        ? 'DNS stops answering with the addresses of the pods; clients that keep the old answer go on connecting to them.'
        : `The cluster IP ${address} is released and may be given to another Service: connections through it, and clients that keep it, break.`,
      'DNS answers with a CNAME from now on; caches hold the old answer until its TTL is over (up to 30 s with the settings of kubeadm).',
      'Clients must connect to the port of the external host: ports of a Service are not mapped any more.',
      'TLS clients must verify the external host name, and HTTP clients send it as Host.',
      ...(from === 'NodePort' || from === 'LoadBalancer'
        ? ['The node ports are released: nothing from outside of the cluster reaches this Service any more.']
        : []),
      ...(from === 'LoadBalancer' ? ['The cloud removes the load balancer and its address.'] : []),
    ]),
    ...(Object.keys(spec.selector ?? {}).length > 0 ? [] : [deleteSlices(current)]),
    verifyStep(current, `canonical name = ${options.externalName}`),
  ];
  return { from, to: 'ExternalName', steps, result };
}

/** See {@link migrateFromExternalName}. */
export interface FromExternalNameOptions extends Pick<BuilderChecks, 'kubernetesVersion'> {
  /** The new type: with a cluster IP, or headless. */
  to: 'ClusterIP' | 'headless';
  /** Needed for a cluster IP. */
  ports?: NonNullable<ServiceManifest['spec']['ports']> | undefined;
  /** The pods behind the Service. If it is left out, endpoints come from EndpointSlices of your own, see `endpointSlices`. */
  selector?: Readonly<Record<string, string>> | undefined;
  /** Slices to apply before the type changes, so that clients find endpoints at once. */
  endpointSlices?: readonly EndpointSliceManifest[] | undefined;
  /** A cluster IP to request, such as the previous one. The server refuses it if another Service has it. */
  clusterIP?: string | undefined;
}

/**
 * Plans the change from ExternalName to a ClusterIP or headless Service, in place, by one merge patch.
 *
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT` if the Service is not of type ExternalName.
 * @throws ManifestInvalidError `ERR_EXTERNALNAME_MANIFEST_INVALID` if ports are missing or wrong.
 */
export function migrateFromExternalName(current: ServiceManifest, options: FromExternalNameOptions): MigrationPlan {
  aService('current', current);
  checkOptions(options, {
    to: oneOf('ClusterIP', 'headless'),
    ports: optional(listOf(checkObject)),
    selector: optional(recordOf(aText)),
    endpointSlices: optional(listOf(checkObject)),
    clusterIP: optional(aText),
    kubernetesVersion: optional(aText),
  });
  const { to, ports, selector, endpointSlices = [], clusterIP } = options;
  if (kindOf(current) !== 'ExternalName')
    throw new InvalidArgumentError('current', 'this Service is not of type ExternalName');
  if (to === 'headless' && clusterIP !== undefined)
    throw new InvalidArgumentError('clusterIP', 'must be left out for a headless Service');
  const { metadata } = current;
  const address = to === 'headless' ? 'None' : clusterIP;
  const set = {
    type: 'ClusterIP' as const,
    ...(address === undefined ? {} : { clusterIP: address }),
    ...(ports === undefined ? {} : { ports: [...ports] }),
    ...(selector === undefined ? {} : { selector: { ...selector } }),
  };
  const left = ['ports', 'selector'] as const;
  const body = {
    ...(metadata.resourceVersion === undefined ? {} : { metadata: { resourceVersion: metadata.resourceVersion } }),
    spec: {
      ...Object.fromEntries(
        left
          .filter((field) => current.spec[field] !== undefined && set[field] === undefined)
          .map((field) => [field, null]),
      ),
      ...set,
      externalName: null,
    },
  };
  confirm(body, current, options);
  const result: ServiceManifest = { apiVersion: 'v1', kind: 'Service', metadata: nameOf(current), spec: set };
  const steps = [
    patchStep(current, body, 'Change the type in place. The object, its uid and its DNS name stay.', [
      to === 'headless'
        ? 'DNS answers with the addresses of the endpoints; ports are not mapped.'
        : 'A cluster IP is allocated, and DNS answers with it; ports are mapped to the endpoints.',
      'Caches hold the CNAME until its TTL is over; until then clients go on connecting to the external host.',
      'Connections that are open to the external host stay open.',
      'TLS clients must verify the name of the new server, not the external one.',
      ...(selector === undefined && endpointSlices.length === 0
        ? ['Without a selector there are no endpoints until EndpointSlices are made: apply them first.']
        : []),
    ]),
    verifyStep(current, to === 'headless' ? 'the addresses of the endpoints' : 'one address, the cluster IP'),
  ];
  return { from: 'ExternalName', to, steps: [...endpointSlices.map((slice) => applySlice(slice)), ...steps], result };
}

const sourceRanges = 'service.beta.kubernetes.io/load-balancer-source-ranges';

const aService = objectOf({
  metadata: objectOf({
    name: aText,
    namespace: optional(aText),
    labels: optional(recordOf(aText)),
    annotations: optional(recordOf(aText)),
    resourceVersion: optional(aText),
  }),
  spec: checkObject,
});

function kindOf({ spec }: ServiceManifest): MigrationPlan['from'] {
  if (spec.type === 'ExternalName' || spec.type === 'NodePort' || spec.type === 'LoadBalancer') return spec.type;
  return spec.clusterIP === 'None' ? 'headless' : 'ClusterIP';
}

function nameOf({ metadata }: ServiceManifest) {
  const { name, namespace, labels, annotations } = metadata;
  const kept = annotations && Object.fromEntries(Object.entries(annotations).filter(([key]) => key !== sourceRanges));
  return {
    name,
    ...(namespace === undefined ? {} : { namespace }),
    ...(labels === undefined ? {} : { labels }),
    ...(kept === undefined || Object.keys(kept).length === 0 ? {} : { annotations: kept }),
  };
}

/** Throws if the API server would refuse the patch. */
function confirm(body: object, current: ServiceManifest, options: BuilderChecks): void {
  const { kubernetesVersion, allowedTargets, clusterDomain } = options;
  const checks = { kubernetesVersion, allowedTargets, clusterDomain };
  const issues = serviceIssues(merged(current, body) as object, current, checks).filter(
    ({ severity }) => severity === 'error',
  );
  if (issues.length > 0) throw new ManifestInvalidError('change of type', issues);
}

/** RFC 7396. */
function merged(target: unknown, patch: unknown): unknown {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) return patch;
  const result: Record<string, unknown> = typeof target === 'object' && target !== null ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else result[key] = merged(result[key], value);
  }
  return result;
}

function patchStep(
  current: ServiceManifest,
  body: object,
  description: string,
  sideEffects: readonly string[],
): MigrationStep {
  const command = `kubectl patch service ${current.metadata.name}${inNamespace(current)} --type=merge -p ${quoted(JSON.stringify(body))}`;
  return { action: 'patch', description, contentType: patchContentTypes.merge, body, command, sideEffects };
}

function deleteSlices(current: ServiceManifest): MigrationStep {
  return {
    action: 'delete-endpoint-slices',
    description:
      'Delete the EndpointSlices that were made by hand for this Service: it had no selector, so no controller deletes them.',
    command: `kubectl delete endpointslices${inNamespace(current)} -l kubernetes.io/service-name=${current.metadata.name}`,
    sideEffects: ['Keep their manifests: the way back needs them.'],
  };
}

function applySlice(slice: EndpointSliceManifest): MigrationStep {
  return {
    action: 'patch',
    description: `Make the EndpointSlice ${slice.metadata.name} before the type changes, so that clients find endpoints at once.`,
    contentType: patchContentTypes.apply,
    body: slice,
    command: `kubectl apply --server-side -f ${slice.metadata.name}.yaml`,
    sideEffects: [],
  };
}

function verifyStep(current: ServiceManifest, expected: string): MigrationStep {
  const namespace = current.metadata.namespace ?? 'default';
  return {
    action: 'verify',
    description: `Ask the cluster's DNS from a pod: it must show ${expected}.`,
    command: `kubectl exec webscaler-client -- nslookup ${current.metadata.name}.${namespace}`,
    sideEffects: [],
  };
}

function inNamespace({ metadata }: ServiceManifest): string {
  return metadata.namespace === undefined ? '' : ` -n ${metadata.namespace}`;
}

/** Quotes a text as one word of a POSIX shell. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
