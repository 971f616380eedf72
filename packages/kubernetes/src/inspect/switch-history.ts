import type { Dependencies } from '@externalname/core';
import { ownOptions, printable } from '@externalname/core/internal';
import { canonicalName } from '@externalname/core/names';
import { KubernetesForbiddenError } from '../api/errors.ts';
import { isText, record } from '../api/json.ts';
import { readSwitchRecord, type SwitchRecord } from '../switch/switch-patch.ts';
import { apiOf, type InspectServiceOptions, inspectService, type ServiceInspection } from './inspect-service.ts';

/** What is known of the switches of a Service. */
export interface SwitchHistory
  extends Pick<ServiceInspection, 'reference' | 'cluster' | 'target' | 'owners' | 'writers'> {
  /** The switches that were recorded, the newest first. */
  readonly switches: readonly RecordedSwitch[];
  /** Whether the Service points elsewhere than the last recorded switch left it: it was changed by something else since. */
  readonly changedSince: boolean;
  /** What could not be read, and why. */
  readonly warnings: readonly string[];
}

/** A switch that `switchTarget()` or `rollback()` made. */
export interface RecordedSwitch extends SwitchRecord {
  /** Where it was read: the Service keeps its last switch, Events are kept for an hour unless the cluster is told otherwise. */
  readonly recordedIn: 'service' | 'event';
}

/**
 * Reads which switches of a Service were recorded: the last one from its annotations, and those before it from the Events that the API
 * server still has. Needs `get` on the Service; without `list` on Events, only the last switch is known, and the result has a warning.
 *
 * Everyone who may write the Service, or an Event, can write such a record, so it is a log and not a proof.
 *
 * @throws ServiceNotFoundError `ERR_EXTERNALNAME_SERVICE_NOT_FOUND`
 * @throws KubernetesForbiddenError `ERR_EXTERNALNAME_KUBERNETES_FORBIDDEN` if the Service may not be read, and the other errors of the API
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT`
 *
 * @example
 * ```ts
 * const { switches } = await switchHistory({ service: 'webscaler-db' });
 * for (const { at, by, previous, target } of switches) console.log(at, by, previous, target);
 * ```
 */
export async function switchHistory(
  given: InspectServiceOptions,
  dependencies: Dependencies = {},
): Promise<SwitchHistory> {
  const options = ownOptions(given);
  const { reference, cluster, target, owners, writers, lastSwitch } = await inspectService(options, dependencies);
  const { api, timeoutMillis, signal } = apiOf(options, dependencies);
  const { namespace, name } = reference;
  const selected = { 'involvedObject.kind': 'Service', 'involvedObject.name': name, reason: 'TargetSwitched' };
  const warnings: string[] = [];
  const last = lastSwitch === undefined ? undefined : shown(lastSwitch, 'service');
  const switches = new Map(last === undefined ? [] : [[last.id, last]]);
  try {
    const answer = await api.json({
      attempt: { verb: 'list', group: '', resource: 'events', namespace },
      path: `/api/v1/namespaces/${encodeURIComponent(namespace)}/events`,
      query: {
        fieldSelector: Object.entries(selected)
          .map(([field, value]) => `${field}=${value}`)
          .join(','),
        limit: String(mostEvents),
      },
      timeoutMillis,
      signal,
    });
    const { items } = record(answer);
    for (const item of (Array.isArray(items) ? items : []).slice(0, mostEvents)) {
      const found = readSwitchRecord({ annotations: texts(record(record(item)['metadata'])['annotations']) });
      if (found !== undefined && !switches.has(found.id)) switches.set(found.id, shown(found, 'event'));
    }
  } catch (error) {
    if (!(error instanceof KubernetesForbiddenError)) throw error;
    warnings.push(`earlier switches are not known, because Events may not be read: ${error.message}`);
  }
  return {
    reference,
    cluster,
    target,
    owners,
    writers,
    switches: [...switches.values()].sort((a, b) => Date.parse(b.at) - Date.parse(a.at) || 0),
    changedSince: last !== undefined && canonicalName(last.target) !== target,
    warnings,
  };
}

// Others may have written it, and it is shown in terminals.
function shown(
  { id, previous, target, by, at, reason }: SwitchRecord,
  recordedIn: 'service' | 'event',
): RecordedSwitch {
  const short = (text: string) => printable(text, 300);
  return {
    id: short(id),
    previous: short(previous),
    target: short(target),
    by: short(by),
    at: short(at),
    reason: reason === undefined ? undefined : printable(reason, 1_000),
    recordedIn,
  };
}

function texts(value: unknown): Record<string, string> {
  return Object.fromEntries(
    Object.entries(record(value)).filter((entry): entry is [string, string] => isText(entry[1])),
  );
}

const mostEvents = 500;
