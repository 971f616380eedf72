import { isJsonObject, type Json, type JsonObject, type KubernetesObject } from './object.ts';
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
  return (printers[type.kind] ?? defaultPrinter).columns.map(([name, description, priority]) => ({
    name,
    type: name === 'Created At' ? 'date' : 'string',
    format: name === 'Name' ? 'name' : '',
    description,
    priority: priority ?? 0,
  }));
}

/** The cells of one object's row, in the order of {@link columnsOf}. */
export function cellsOf(type: ResourceType, object: KubernetesObject, now: Date): Json[] {
  return (printers[type.kind] ?? defaultPrinter).cells(object, now);
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

interface Printer {
  readonly columns: readonly (readonly [name: string, description: string, priority?: number])[];
  cells(object: KubernetesObject, now: Date): Json[];
}

const nameColumn = ['Name', 'Name must be unique within a namespace.'] as const;
const ageColumn = ['Age', 'Time since the object was created.'] as const;

const defaultPrinter: Printer = {
  columns: [nameColumn, ageColumn],
  cells: (object, now) => [nameOf(object), ageOf(object, now)],
};

const printers: Record<string, Printer> = {
  Service: {
    columns: [
      nameColumn,
      ['Type', 'How the Service is exposed.'],
      ['Cluster-IP', 'The address of the Service inside the cluster.'],
      ['External-IP', 'Addresses, or the name, that the Service has outside.'],
      ['Port(s)', 'The ports that the Service exposes.'],
      ageColumn,
      ['Selector', 'Labels of the pods that traffic goes to.', 1],
    ],
    cells(object, now) {
      const spec = part(object, 'spec');
      const addresses = strings(spec['clusterIPs']);
      return [
        nameOf(object),
        text(spec['type']),
        addresses[0] ?? (text(spec['clusterIP']) || none),
        externalAddress(object),
        portList(spec) || none,
        ageOf(object, now),
        labelList(spec['selector']),
      ];
    },
  },
  Namespace: {
    columns: [nameColumn, ['Status', 'The status of the namespace'], ageColumn],
    cells: (object, now) => [nameOf(object), text(part(object, 'status')['phase']), ageOf(object, now)],
  },
  Pod: {
    columns: [
      nameColumn,
      ['Ready', 'How many containers of this pod accept traffic.'],
      ['Status', 'The aggregate status of the containers in this pod.'],
      ['Restarts', 'The number of times the containers in this pod have been restarted.'],
      ageColumn,
      ['IP', 'Address of the pod.', 1],
      ['Node', 'The node that the pod runs on.', 1],
      ['Nominated Node', 'The node that the pod may come to by preemption.', 1],
      ['Readiness Gates', 'Conditions that the pod has to meet to be ready.', 1],
    ],
    cells(object, now) {
      const spec = part(object, 'spec');
      const status = part(object, 'status');
      const containers = objects(status['containerStatuses']);
      const ready = containers.filter((container) => container['ready'] === true).length;
      const restarts = containers.reduce((sum, container) => sum + Number(container['restartCount'] ?? 0), 0);
      const reason = containers
        .map((container) => part(part(container, 'state'), 'waiting')['reason'])
        .find((given) => given !== undefined);
      return [
        nameOf(object),
        `${ready}/${objects(spec['containers']).length}`,
        text(reason) || text(status['reason']) || text(status['phase']),
        String(restarts),
        ageOf(object, now),
        text(status['podIP']) || none,
        text(spec['nodeName']) || none,
        text(status['nominatedNodeName']) || none,
        none,
      ];
    },
  },
  EndpointSlice: {
    columns: [
      nameColumn,
      ['AddressType', 'The type of the addresses in this slice.'],
      ['Ports', 'The ports of each endpoint.'],
      ['Endpoints', 'The first addresses.'],
      ageColumn,
    ],
    cells(object, now) {
      const ports = objects(object['ports']).map((port) => text(port['port']) || '*');
      const addresses = objects(object['endpoints']).flatMap((endpoint) => strings(endpoint['addresses']));
      return [
        nameOf(object),
        text(object['addressType']),
        firstOf(ports, '<unset>'),
        firstOf(addresses, '<unset>'),
        ageOf(object, now),
      ];
    },
  },
  Lease: {
    columns: [nameColumn, ['Holder', 'Who holds the lease.'], ageColumn],
    cells: (object, now) => [nameOf(object), text(part(object, 'spec')['holderIdentity']), ageOf(object, now)],
  },
  Role: {
    columns: [nameColumn, ['Created At', 'When the object was created.']],
    cells: (object) => [nameOf(object), object.metadata.creationTimestamp ?? ''],
  },
  RoleBinding: {
    columns: [
      nameColumn,
      ['Role', 'The role that is granted.'],
      ageColumn,
      ['Users', 'Users in the roleBinding', 1],
      ['Groups', 'Groups in the roleBinding', 1],
      ['ServiceAccounts', 'ServiceAccounts in the roleBinding', 1],
    ],
    cells(object, now) {
      const role = part(object, 'roleRef');
      const subjects = objects(object['subjects']);
      const named = (kind: string) =>
        subjects
          .filter((subject) => subject['kind'] === kind)
          .map((subject) =>
            kind === 'ServiceAccount'
              ? `${text(subject['namespace'])}/${text(subject['name'])}`
              : text(subject['name']),
          )
          .join(', ');
      return [
        nameOf(object),
        `${text(role['kind'])}/${text(role['name'])}`,
        ageOf(object, now),
        named('User'),
        named('Group'),
        named('ServiceAccount'),
      ];
    },
  },
  Event: {
    columns: [
      ['Last Seen', 'The time of the most recent occurrence.'],
      ['Type', 'Normal or Warning.'],
      ['Reason', 'Why, in one word.'],
      ['Object', 'The object that the event is about.'],
      ['Subobject', 'The part of the object.', 1],
      ['Source', 'The component that reports the event.', 1],
      ['Message', 'What happened.'],
      ['First Seen', 'The time of the first occurrence.', 1],
      ['Count', 'How often it occurred.', 1],
      ['Name', 'Name must be unique within a namespace.', 1],
    ],
    cells(object, now) {
      const about = part(object, object['regarding'] === undefined ? 'involvedObject' : 'regarding');
      const source = part(object, 'source');
      const since = (...times: unknown[]) => {
        const time = times.find((candidate) => typeof candidate === 'string' && candidate !== '');
        return time === undefined ? '<unknown>' : shortDuration(now.getTime() - new Date(String(time)).getTime());
      };
      const first = object['firstTimestamp'] ?? object['deprecatedFirstTimestamp'];
      const last = object['lastTimestamp'] ?? object['deprecatedLastTimestamp'];
      return [
        since(part(object, 'series')['lastObservedTime'], last, object['eventTime'], object.metadata.creationTimestamp),
        text(object['type']),
        text(object['reason']),
        `${text(about['kind']).toLowerCase()}/${text(about['name'])}`,
        text(about['fieldPath']),
        [text(source['component']) || text(object['reportingComponent']), text(source['host'])]
          .filter(Boolean)
          .join(', '),
        text(object['message'] ?? object['note']).trim(),
        since(first, object['eventTime'], object.metadata.creationTimestamp),
        text(part(object, 'series')['count'] ?? object['count'] ?? object['deprecatedCount'] ?? 1),
        nameOf(object),
      ];
    },
  },
};

function externalAddress(object: KubernetesObject): string {
  const spec = part(object, 'spec');
  const external = strings(spec['externalIPs']);
  switch (spec['type']) {
    case 'ExternalName':
      return text(spec['externalName']);
    case 'LoadBalancer': {
      const ingress = objects(part(part(object, 'status'), 'loadBalancer')['ingress']);
      const addresses = ingress.map((entry) => text(entry['ip']) || text(entry['hostname'])).filter(Boolean);
      return [...addresses, ...external].join(',') || '<pending>';
    }
    default:
      return external.join(',') || none;
  }
}

function portList(spec: JsonObject): string {
  return objects(spec['ports'])
    .map((port) => {
      const node = port['nodePort'] === undefined ? '' : `:${text(port['nodePort'])}`;
      return `${text(port['port'])}${node}/${text(port['protocol'])}`;
    })
    .join(',');
}

function firstOf(items: readonly string[], empty: string): string {
  if (items.length === 0) return empty;
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
  const created = object.metadata.creationTimestamp;
  return created === undefined ? '<unknown>' : shortDuration(now.getTime() - new Date(created).getTime());
}

function nameOf(object: KubernetesObject): string {
  return object.metadata.name ?? '';
}

function part(value: unknown, field: string): JsonObject {
  const found = isJsonObject(value) ? value[field] : undefined;
  return isJsonObject(found) ? found : {};
}

function objects(value: unknown): JsonObject[] {
  return Array.isArray(value) ? value.filter(isJsonObject) : [];
}

function strings(value: unknown): string[] {
  return Array.isArray(value) ? value.map(text) : [];
}

function text(value: unknown): string {
  return value === undefined || value === null ? '' : String(value);
}

const none = '<none>';
