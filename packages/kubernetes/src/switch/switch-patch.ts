import { type JsonPatchOperation, switchJsonPatch } from '@externalname/core/manifests';
import { plannedAnnotation } from '../api/planned-switch.ts';
import type { ServiceToSwitch } from './service-object.ts';

/** What is written about a switch into the Service's annotations. */
export interface SwitchRecord {
  /** Made for this switch only: identifies our own write if its answer is lost. */
  readonly id: string;
  /** The name before, canonical. `rollback()` goes back to it. */
  readonly previous: string;
  /** The name after, canonical. */
  readonly target: string;
  /** Who switched. */
  readonly by: string;
  /** RFC 3339, UTC. */
  readonly at: string;
  /** Why, in one line. */
  readonly reason?: string | undefined;
}

/** The annotations that hold a {@link SwitchRecord}. */
export const switchAnnotations = {
  id: 'switch.externalname/id',
  previous: 'switch.externalname/previous',
  target: 'switch.externalname/target',
  by: 'switch.externalname/by',
  at: 'switch.externalname/at',
  reason: 'switch.externalname/reason',
} as const;

/** The patch that announces a switch, or with `undefined`, takes that back. It fails if the Service was switched meanwhile. */
export function planPatch(service: ServiceToSwitch, planned: string | undefined): JsonPatchOperation[] {
  const { uid, externalName, annotations, resourceVersion } = service;
  const path = '/metadata/annotations';
  const pointer = `${path}/${plannedAnnotation.replace('/', '~1')}`;
  const guards: JsonPatchOperation[] = [
    { op: 'test', path: '/metadata/uid', value: uid },
    { op: 'test', path: '/spec/externalName', value: externalName },
  ];
  if (planned === undefined) {
    return [...guards, { op: 'test', path: pointer, value: service.planned }, { op: 'remove', path: pointer }];
  }
  if (annotations !== undefined) return [...guards, { op: 'add', path: pointer, value: planned }];
  const value = { [plannedAnnotation]: planned };
  return [
    { op: 'test', path: '/metadata/resourceVersion', value: resourceVersion },
    ...guards,
    { op: 'add', path, value },
  ];
}

/**
 * The patch of a switch. It fails as a whole unless the Service is still the one that was read and still points
 * to the same name, so it does not overwrite a switch that somebody else made in between.
 */
export function switchPatch(
  service: ServiceToSwitch,
  record: SwitchRecord,
  clusterDomain: string,
): JsonPatchOperation[] {
  const { uid, type, externalName, annotations: current, resourceVersion } = service;
  return [
    { op: 'test', path: '/spec/type', value: type },
    ...switchJsonPatch({
      externalName: record.target,
      clusterDomain,
      onlyIf: { uid, externalName, ...(current === undefined && { resourceVersion }) },
      // The reason of an earlier switch does not belong to this one.
      annotations: {
        set: { [switchAnnotations.reason]: null, [plannedAnnotation]: null, ...annotationsOf(record) },
        current,
      },
    }),
  ];
}

/** Reads what the last switch wrote; undefined if there was none, or the record is incomplete. */
export function readSwitchRecord({ annotations }: Pick<ServiceToSwitch, 'annotations'>): SwitchRecord | undefined {
  const read = (name: keyof typeof switchAnnotations) => annotations?.[switchAnnotations[name]];
  const id = read('id');
  const previous = read('previous');
  const target = read('target');
  if (id === undefined || previous === undefined || target === undefined) return undefined;
  return { id, previous, target, by: read('by') ?? '', at: read('at') ?? '', reason: read('reason') };
}

/** The annotations of a switch, for the Service and for the Event. */
export function annotationsOf({ id, previous, target, by, at, reason }: SwitchRecord): Record<string, string> {
  return {
    [switchAnnotations.id]: id,
    [switchAnnotations.previous]: previous,
    [switchAnnotations.target]: target,
    [switchAnnotations.by]: by,
    [switchAnnotations.at]: at,
    ...(reason !== undefined && { [switchAnnotations.reason]: reason }),
  };
}
