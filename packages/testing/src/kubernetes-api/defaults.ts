import { isJsonObject, type JsonObject, type KubernetesObject, objectsIn } from './object.ts';

/**
 * Fills in the defaults of the API server for all kinds but Service. (For Services see `service-strategy.ts`.)
 *
 * Source: Kubernetes `pkg/apis/core/v1/defaults.go`, `pkg/apis/discovery/v1/defaults.go`, `pkg/apis/rbac/v1/defaults.go`.
 */
export function setDefaults(object: KubernetesObject): void {
  defaults[object.kind]?.(object);
}

const defaults: Record<string, (object: KubernetesObject) => void> = {
  Namespace(object) {
    // The label lets network policies and webhooks select a namespace by its name.
    object.metadata.labels = { ...object.metadata.labels, 'kubernetes.io/metadata.name': object.metadata.name ?? '' };
  },
  EndpointSlice(object) {
    for (const port of objectsIn(object['ports'])) {
      port['name'] ??= '';
      port['protocol'] ??= 'TCP';
    }
    for (const endpoint of objectsIn(object['endpoints'])) endpoint['conditions'] ??= {};
  },
  RoleBinding(object) {
    const role = isJsonObject(object['roleRef']) ? object['roleRef'] : {};
    object['roleRef'] = role;
    role['apiGroup'] ??= 'rbac.authorization.k8s.io';
    for (const subject of objectsIn(object['subjects'])) {
      if (subject['kind'] === 'User' || subject['kind'] === 'Group')
        subject['apiGroup'] ??= 'rbac.authorization.k8s.io';
    }
  },
  Pod(object) {
    const spec = isJsonObject(object['spec']) ? object['spec'] : {};
    object['spec'] = spec;
    spec['restartPolicy'] ??= 'Always';
    spec['terminationGracePeriodSeconds'] ??= 30;
    spec['dnsPolicy'] ??= 'ClusterFirst';
    spec['serviceAccountName'] ??= 'default';
    spec['serviceAccount'] ??= spec['serviceAccountName'];
    spec['securityContext'] ??= {};
    spec['schedulerName'] ??= 'default-scheduler';
    spec['enableServiceLinks'] ??= true;
    spec['priority'] ??= 0;
    spec['preemptionPolicy'] ??= 'PreemptLowerPriority';
    for (const container of [...objectsIn(spec['containers']), ...objectsIn(spec['initContainers'])]) {
      const image = String(container['image'] ?? '');
      const latest = image.endsWith(':latest') || !/[:@][^/]*$/.test(image);
      container['imagePullPolicy'] ??= latest ? 'Always' : 'IfNotPresent';
      container['resources'] ??= {};
      container['terminationMessagePath'] ??= '/dev/termination-log';
      container['terminationMessagePolicy'] ??= 'File';
      for (const port of objectsIn(container['ports'])) port['protocol'] ??= 'TCP';
    }
  },
};

/** Fills in fields without a manager, on the way to the storage. */
export function complete(object: KubernetesObject): void {
  if (object.kind === 'Namespace') {
    object['spec'] ??= { finalizers: ['kubernetes'] };
    withPhase(object, { phase: 'Active' });
  }
  // Nothing runs pods here: they wait to be scheduled.
  if (object.kind === 'Pod') withPhase(object, { phase: 'Pending', qosClass: 'BestEffort' });
  if (object.kind === 'Event') {
    const core = object.apiVersion === 'v1';
    object['eventTime'] ??= null;
    object[core ? 'reportingComponent' : 'reportingController'] ??= '';
    object['reportingInstance'] ??= '';
    object[core ? 'source' : 'deprecatedSource'] ??= {};
    for (const name of ['firstTimestamp', 'lastTimestamp']) {
      object[core ? name : `deprecated${name[0]?.toUpperCase()}${name.slice(1)}`] ??= null;
    }
  }
}

// The output of kubectl with `--dry-run=client -o yaml` has an empty status.
function withPhase(object: KubernetesObject, first: JsonObject): void {
  object['status'] = { ...first, ...(isJsonObject(object['status']) ? object['status'] : {}) };
}
