import type { ServiceReference } from '@externalname/core';
import type { ServiceToSwitch } from './service-object.ts';
import { annotationsOf, type SwitchRecord } from './switch-patch.ts';

/**
 * The Event of a switch, as `kubectl describe service` shows it. Source: Kubernetes API reference, `v1` Event; the
 * namespace of an Event is that of the object it is about.
 */
export function switchEvent(reference: ServiceReference, service: ServiceToSwitch, record: SwitchRecord): object {
  const reason = record.reason === undefined ? '' : `: ${record.reason}`;
  const message = `${record.by} switched the target from ${record.previous} to ${record.target}${reason}`;
  return {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: {
      generateName: `${reference.name.slice(0, 40)}.`,
      namespace: reference.namespace,
      // For switchHistory(): the Service itself only keeps the last switch.
      annotations: annotationsOf(record),
    },
    involvedObject: {
      apiVersion: 'v1',
      kind: 'Service',
      name: reference.name,
      namespace: reference.namespace,
      uid: service.uid,
    },
    reason: 'TargetSwitched',
    // The API server refuses a longer note.
    message: message.slice(0, 1024),
    type: 'Normal',
    source: { component: 'externalname' },
    firstTimestamp: withoutFraction(record.at),
    lastTimestamp: withoutFraction(record.at),
    count: 1,
    reportingComponent: 'externalname',
    reportingInstance: record.id,
    action: 'Switch',
  };
}

// metav1.Time has whole seconds.
function withoutFraction(time: string): string {
  return time.replace(/\.\d+Z$/, 'Z');
}
