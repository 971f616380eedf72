import { isJsonObject, type Json, type JsonObject, type KubernetesObject, objectsIn } from './object.ts';
import type { ResourceType } from './resources.ts';

/** One column of a `Table`. Priority 0 is shown always, 1 with `-o wide`. */
export interface TableColumn {
  readonly name: string;
  readonly type: string;
  readonly format: string;
  readonly description: string;
  readonly priority: number;
}

/**
 * The columns that `kubectl get` shows for a type.
 *
 * Source: Kubernetes `pkg/printers/internalversion/printers.go`.
 */
export function columnsOf(type: ResourceType): readonly TableColumn[] {
  return (printed[type.kind] ?? printedOfOthers).map(([name, description, _, priority = 0]) => ({
    name,
    type: name === 'Created At' ? 'date' : 'string',
    format: name === 'Name' ? 'name' : '',
    description,
    priority,
  }));
}

/** The cells of one object's row, in the order of {@link columnsOf}. */
export function cellsOf(type: ResourceType, object: KubernetesObject, now: Date): Json[] {
  return (printed[type.kind] ?? printedOfOthers).map(([, , cell]) => cell(object, now));
}

/** A time span as kubectl prints it: `5s`, `3m12s`, `27h`, `4d3h`, `2y35d`. */
export function shortDuration(millis: number): string {
  const seconds = Math.floor(millis / 1000);
  if (seconds < -1) return '<invalid>';
  if (seconds < 0) return '0s';
  if (seconds < 60 * 2) return `${seconds}s`;
  const minutes = Math.floor(seconds / 60);
  const with_ = (whole: number, unit: string, rest: number, small: string) =>
    rest === 0 ? `${whole}${unit}` : `${whole}${unit}${rest}${small}`;
  if (minutes < 10) return with_(minutes, 'm', seconds % 60, 's');
  if (minutes < 60 * 3) return `${minutes}m`;
  const hours = Math.floor(minutes / 60);
  if (hours < 8) return with_(hours, 'h', minutes % 60, 'm');
  if (hours < 48) return `${hours}h`;
  if (hours < 24 * 8) return with_(Math.floor(hours / 24), 'd', hours % 24, 'h');
  if (hours < 24 * 365 * 2) return `${Math.floor(hours / 24)}d`;
  const days = Math.floor(hours / 24);
  if (hours < 24 * 365 * 8) return with_(Math.floor(days / 365), 'y', days % 365, 'd');
  return `${Math.floor(days / 365)}y`;
}

/** A column, and what it shows of an object. */
type Column = readonly [name: string, description: string, cell: Cell, priority?: number];
type Cell = (object: KubernetesObject, now: Date) => Json;

const nameColumn: Column = ['Name', 'Name must be unique within a namespace.', nameOf];
const ageColumn: Column = ['Age', 'Time since the object was created.', ageOf];
const printedOfOthers: readonly Column[] = [nameColumn, ageColumn];

const printed: Record<string, readonly Column[]> = {
  Service: [
    nameColumn,
    ['Type', 'How the Service is exposed.', (service) => text(specOf(service)['type'])],
    ['Cluster-IP', 'The address of the Service inside the cluster.', clusterAddress],
    ['External-IP', 'Addresses, or the name, that the Service has outside.', externalAddress],
    ['Port(s)', 'The ports that the Service exposes.', (service) => portList(specOf(service)) || none],
    ageColumn,
    ['Selector', 'Labels of the pods that traffic goes to.', (service) => labelList(specOf(service)['selector']), 1],
  ],
  Namespace: [
    nameColumn,
    ['Status', 'The status of the namespace', (namespace) => text(statusOf(namespace)['phase'])],
    ageColumn,
  ],
  Pod: [
    nameColumn,
    ['Ready', 'How many containers of this pod accept traffic.', readyContainers],
    ['Status', 'The aggregate status of the containers in this pod.', podStatus],
    ['Restarts', 'The number of times the containers in this pod have been restarted.', restarts],
    ageColumn,
    ['IP', 'Address of the pod.', (pod) => text(statusOf(pod)['podIP']) || none, 1],
    ['Node', 'The node that the pod runs on.', (pod) => text(specOf(pod)['nodeName']) || none, 1],
    [
      'Nominated Node',
      'The node that the pod may come to by preemption.',
      (pod) => text(statusOf(pod)['nominatedNodeName']) || none,
      1,
    ],
    ['Readiness Gates', 'Conditions that the pod has to meet to be ready.', () => none, 1],
  ],
  EndpointSlice: [
    nameColumn,
    ['AddressType', 'The type of the addresses in this slice.', (slice) => text(slice['addressType'])],
    [
      'Ports',
      'The ports of each endpoint.',
      (slice) => firstOf(objectsIn(slice['ports']).map((port) => text(port['port']) || '*')),
    ],
    [
      'Endpoints',
      'The first addresses.',
      (slice) => firstOf(objectsIn(slice['endpoints']).flatMap((endpoint) => strings(endpoint['addresses']))),
    ],
    ageColumn,
  ],
  Lease: [nameColumn, ['Holder', 'Who holds the lease.', (lease) => text(specOf(lease)['holderIdentity'])], ageColumn],
  Role: [
    nameColumn,
    ['Created At', 'When the object was created.', ({ metadata }) => metadata.creationTimestamp ?? ''],
  ],
  RoleBinding: [
    nameColumn,
    ['Role', 'The role that is granted.', (binding) => grantedRole(part(binding, 'roleRef'))],
    ageColumn,
    ['Users', 'Users in the roleBinding', (binding) => subjectList(binding, 'User'), 1],
    ['Groups', 'Groups in the roleBinding', (binding) => subjectList(binding, 'Group'), 1],
    ['ServiceAccounts', 'ServiceAccounts in the roleBinding', (binding) => subjectList(binding, 'ServiceAccount'), 1],
  ],
  Event: [
    ['Last Seen', 'The time of the most recent occurrence.', lastSeen],
    ['Type', 'Normal or Warning.', (event) => text(event['type'])],
    ['Reason', 'Why, in one word.', (event) => text(event['reason'])],
    ['Object', 'The object that the event is about.', objectOfEvent],
    ['Subobject', 'The part of the object.', (event) => text(regarding(event)['fieldPath']), 1],
    ['Source', 'The component that reports the event.', sourceOfEvent, 1],
    ['Message', 'What happened.', (event) => text(event['message'] ?? event['note']).trim()],
    ['First Seen', 'The time of the first occurrence.', firstSeen, 1],
    ['Count', 'How often it occurred.', countOfEvent, 1],
    ['Name', 'Name must be unique within a namespace.', nameOf, 1],
  ],
};

function clusterAddress(service: KubernetesObject): string {
  const spec = specOf(service);
  return strings(spec['clusterIPs'])[0] ?? (text(spec['clusterIP']) || none);
}

function externalAddress(object: KubernetesObject): string {
  const spec = specOf(object);
  const external = strings(spec['externalIPs']);
  switch (spec['type']) {
    case 'ExternalName':
      return text(spec['externalName']);
    case 'LoadBalancer': {
      const ingress = objectsIn(part(statusOf(object), 'loadBalancer')['ingress']);
      const addresses = ingress.map((entry) => text(entry['ip']) || text(entry['hostname'])).filter(Boolean);
      return [...addresses, ...external].join(',') || '<pending>';
    }
    default:
      return external.join(',') || none;
  }
}

function portList(spec: JsonObject): string {
  return objectsIn(spec['ports'])
    .map((port) => {
      const node = port['nodePort'] === undefined ? '' : `:${text(port['nodePort'])}`;
      return `${text(port['port'])}${node}/${text(port['protocol'])}`;
    })
    .join(',');
}

function containersOf(pod: KubernetesObject): JsonObject[] {
  return objectsIn(statusOf(pod)['containerStatuses']);
}

function readyContainers(pod: KubernetesObject): string {
  const ready = containersOf(pod).filter((container) => container['ready'] === true).length;
  return `${ready}/${objectsIn(specOf(pod)['containers']).length}`;
}

function podStatus(pod: KubernetesObject): string {
  const status = statusOf(pod);
  const reason = containersOf(pod)
    .map((container) => part(part(container, 'state'), 'waiting')['reason'])
    .find((given) => given !== undefined);
  return text(reason) || text(status['reason']) || text(status['phase']);
}

function restarts(pod: KubernetesObject): string {
  return String(containersOf(pod).reduce((sum, container) => sum + Number(container['restartCount'] ?? 0), 0));
}

function grantedRole(role: JsonObject): string {
  return `${text(role['kind'])}/${text(role['name'])}`;
}

function subjectList(binding: KubernetesObject, kind: string): string {
  return objectsIn(binding['subjects'])
    .filter((subject) => subject['kind'] === kind)
    .map(({ namespace, name }) => (kind === 'ServiceAccount' ? `${text(namespace)}/${text(name)}` : text(name)))
    .join(', ');
}

function regarding(event: KubernetesObject): JsonObject {
  return part(event, event['regarding'] === undefined ? 'involvedObject' : 'regarding');
}

function objectOfEvent(event: KubernetesObject): string {
  const about = regarding(event);
  return `${text(about['kind']).toLowerCase()}/${text(about['name'])}`;
}

function sourceOfEvent(event: KubernetesObject): string {
  const source = part(event, 'source');
  const component = text(source['component']) || text(event['reportingComponent']);
  return [component, text(source['host'])].filter(Boolean).join(', ');
}

function lastSeen(event: KubernetesObject, now: Date): string {
  const last = event['lastTimestamp'] ?? event['deprecatedLastTimestamp'];
  const { creationTimestamp } = event.metadata;
  return since(now, part(event, 'series')['lastObservedTime'], last, event['eventTime'], creationTimestamp);
}

function firstSeen(event: KubernetesObject, now: Date): string {
  const first = event['firstTimestamp'] ?? event['deprecatedFirstTimestamp'];
  return since(now, first, event['eventTime'], event.metadata.creationTimestamp);
}

function countOfEvent(event: KubernetesObject): string {
  return text(part(event, 'series')['count'] ?? event['count'] ?? event['deprecatedCount'] ?? 1);
}

/** Since the first of these times that is known. */
function since(now: Date, ...times: unknown[]): string {
  const time = times.find((candidate) => typeof candidate === 'string' && candidate !== '');
  return time === undefined ? '<unknown>' : shortDuration(now.getTime() - new Date(String(time)).getTime());
}

function firstOf(items: readonly string[]): string {
  if (items.length === 0) return '<unset>';
  const shown = items.slice(0, 3).join(',');
  return items.length > 3 ? `${shown} + ${items.length - 3} more...` : shown;
}

function labelList(labels: unknown): string {
  if (!isJsonObject(labels) || Object.keys(labels).length === 0) return none;
  return Object.entries(labels)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${text(value)}`)
    .join(',');
}

function ageOf(object: KubernetesObject, now: Date): string {
  return since(now, object.metadata.creationTimestamp);
}

function nameOf(object: KubernetesObject): string {
  return object.metadata.name ?? '';
}

function specOf(object: KubernetesObject): JsonObject {
  return part(object, 'spec');
}

function statusOf(object: KubernetesObject): JsonObject {
  return part(object, 'status');
}

function part(value: unknown, field: string): JsonObject {
  const found = isJsonObject(value) ? value[field] : undefined;
  return isJsonObject(found) ? found : {};
}

function strings(value: unknown): string[] {
  return Array.isArray(value) ? value.map(text) : [];
}

function text(value: unknown): string {
  return value === undefined || value === null ? '' : String(value);
}

const none = '<none>';
