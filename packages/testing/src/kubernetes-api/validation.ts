import { validate } from '@externalname/core/validation';
import { isJsonObject, jsonEqual, type KubernetesObject } from './object.ts';
import type { ResourceType } from './resources.ts';
import { badRequest, forbiddenValue, invalid, invalidValue, requiredValue } from './status.ts';

/**
 * Refuses objects that the API server refuses, in its words. The rules are those of `validate` in `@externalname/core`.
 *
 * @throws ApiStatusError 422 Invalid, one cause for each field; 400 BadRequest.
 */
export function refuseInvalid(
  type: ResourceType,
  object: KubernetesObject,
  previous: KubernetesObject | undefined,
): void {
  if (object.metadata.name === undefined || object.metadata.name === '') {
    throw invalid(type, '', [requiredValue('metadata.name', 'name or generateName is required')]);
  }
  refuseForeignStatus(type, object);
  refuseLease(type, object);
  refuseEvent(type, object);
  refuseOtherRole(type, object, previous);
  const errors = validate(object, { previous }).filter((issue) => issue.severity === 'error');
  const [first] = errors;
  if (first === undefined) return;
  const unreadable = errors.find((issue) => issue.reason === 'BadRequest');
  if (unreadable !== undefined) throw badRequest(`${unreadable.path}: ${unreadable.message}`);
  throw invalid(
    type,
    object.metadata.name ?? '',
    errors.map((issue) => ({ reason: issue.reason ?? 'FieldValueInvalid', message: issue.message, field: issue.path })),
  );
}

/** Kubernetes `pkg/apis/coordination/validation`. */
function refuseLease(type: ResourceType, object: KubernetesObject): void {
  const spec = type.kind === 'Lease' && isJsonObject(object['spec']) ? object['spec'] : {};
  const bounds = [
    ['leaseDurationSeconds', 1, 'must be greater than 0'],
    ['leaseTransitions', 0, 'must be greater than or equal to 0'],
  ] as const;
  const causes = bounds.flatMap(([name, least, problem]) => {
    const value = spec[name];
    if (typeof value !== 'number' || value >= least) return [];
    return invalidValue(`spec.${name}`, value, problem);
  });
  if (causes.length > 0) throw invalid(type, object.metadata.name ?? '', causes);
}

/** An event is in the namespace of the object that it is about (Kubernetes `pkg/apis/core/validation/events.go`). */
function refuseEvent(type: ResourceType, object: KubernetesObject): void {
  if (type.kind !== 'Event' || type.group !== '' || !isJsonObject(object['involvedObject'])) return;
  const { namespace = 'default' } = object['involvedObject'];
  if (namespace === object.metadata.namespace) return;
  const cause = invalidValue('involvedObject.namespace', JSON.stringify(namespace), 'does not match event.namespace');
  throw invalid(type, object.metadata.name ?? '', [cause]);
}

/** The role of a binding cannot change (Kubernetes `pkg/apis/rbac/validation`). */
function refuseOtherRole(type: ResourceType, object: KubernetesObject, previous: KubernetesObject | undefined): void {
  if (type.kind !== 'RoleBinding' || previous === undefined || jsonEqual(object['roleRef'], previous['roleRef']))
    return;
  const role = isJsonObject(object['roleRef']) ? object['roleRef'] : {};
  const shown = JSON.stringify({ APIGroup: role['apiGroup'], Kind: role['kind'], Name: role['name'] });
  throw invalid(type, object.metadata.name ?? '', [invalidValue('roleRef', shown, 'field is immutable')]);
}

function refuseForeignStatus(type: ResourceType, object: KubernetesObject): void {
  if (type.kind !== 'Service' || !isJsonObject(object['status']) || !isJsonObject(object['spec'])) return;
  const balancer = object['status']['loadBalancer'];
  const ingress = isJsonObject(balancer) ? balancer['ingress'] : undefined;
  if (!Array.isArray(ingress) || ingress.length === 0 || object['spec']['type'] === 'LoadBalancer') return;
  const why = "may only be used when `spec.type` is 'LoadBalancer'";
  const cause = forbiddenValue('status.loadBalancer.ingress', why);
  throw invalid(type, object.metadata.name ?? '', [cause]);
}

/**
 * What the API server accepts with a `Warning` header.
 *
 * Source: Kubernetes `pkg/api/service/warnings.go`.
 */
export function warningsFor(object: KubernetesObject, previous: KubernetesObject | undefined): string[] {
  if (object.kind !== 'Service' || !isJsonObject(object['spec'])) return [];
  const spec = object['spec'];
  const old = previous !== undefined && isJsonObject(previous['spec']) ? previous['spec'] : {};
  const warnings: string[] = [];
  const addresses = Array.isArray(spec['externalIPs']) && spec['externalIPs'].length > 0;
  const hadAddresses = Array.isArray(old['externalIPs']) && old['externalIPs'].length > 0;
  if (addresses && !hadAddresses) {
    warnings.push('spec.externalIPs is deprecated and may no longer be implemented in some clusters');
  }
  if (spec['type'] !== 'ExternalName' && spec['externalName'] !== undefined) {
    warnings.push('spec.externalName is ignored when spec.type is not "ExternalName"');
  }
  if (spec['trafficDistribution'] === 'PreferClose' && old['trafficDistribution'] !== 'PreferClose') {
    warnings.push('spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"');
  }
  if (spec['clusterIP'] === 'None' && spec['type'] === 'ClusterIP') {
    if (spec['loadBalancerIP'] !== undefined)
      warnings.push('spec.loadBalancerIP is ignored when spec.clusterIP is "None"');
    if (addresses) warnings.push('spec.externalIPs is ignored when spec.clusterIP is "None"');
    if (spec['sessionAffinity'] === 'ClientIP') warnings.push('spec.SessionAffinity is ignored for headless services');
  }
  return warnings;
}
