import type { ServiceToSwitch } from './service-object.ts';

/** What is written about a switch into the Service's annotations. */
export interface SwitchRecord {
  /** Made for this switch only: tells one's own write from somebody else's when an answer is lost. */
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

/** One operation of a JSON Patch (RFC 6902). */
export interface PatchOperation {
  readonly op: 'test' | 'add' | 'replace' | 'remove';
  readonly path: string;
  readonly value?: unknown;
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

/**
 * The patch of a switch. It fails as a whole unless the Service is still the one that was read and still points
 * where it did: whoever switched in between is not overwritten.
 */
export function switchPatch(service: ServiceToSwitch, record: SwitchRecord): PatchOperation[] {
  return [
    { op: 'test', path: '/metadata/uid', value: service.uid },
    { op: 'test', path: '/spec/type', value: service.type },
    { op: 'test', path: '/spec/externalName', value: service.storedName },
    { op: 'replace', path: '/spec/externalName', value: record.target },
    ...annotationOperations(service, record),
  ];
}

/** Reads what the last switch wrote; undefined where there was none, or it is not whole. */
export function readSwitchRecord(service: ServiceToSwitch): SwitchRecord | undefined {
  const read = (name: keyof typeof switchAnnotations) => service.annotations?.[switchAnnotations[name]];
  const id = read('id');
  const previous = read('previous');
  const target = read('target');
  if (id === undefined || previous === undefined || target === undefined) return undefined;
  return { id, previous, target, by: read('by') ?? '', at: read('at') ?? '', reason: read('reason') };
}

function annotationOperations(service: ServiceToSwitch, record: SwitchRecord): PatchOperation[] {
  const annotations = annotationsOf(record);
  if (service.annotations === undefined) {
    // Adding the whole map would wipe out what somebody else has added meanwhile.
    return [
      { op: 'test', path: '/metadata/resourceVersion', value: service.resourceVersion },
      { op: 'add', path: '/metadata/annotations', value: annotations },
    ];
  }
  const operations: PatchOperation[] = Object.entries(annotations).map(([key, value]) => ({
    op: 'add',
    path: pathOf(key),
    value,
  }));
  // The reason of an earlier switch is none of this one.
  if (record.reason === undefined && service.annotations[switchAnnotations.reason] !== undefined) {
    operations.push({ op: 'remove', path: pathOf(switchAnnotations.reason) });
  }
  return operations;
}

function annotationsOf(record: SwitchRecord): Record<string, string> {
  const { id, previous, target, by, at, reason } = record;
  return {
    [switchAnnotations.id]: id,
    [switchAnnotations.previous]: previous,
    [switchAnnotations.target]: target,
    [switchAnnotations.by]: by,
    [switchAnnotations.at]: at,
    ...(reason !== undefined && { [switchAnnotations.reason]: reason }),
  };
}

// RFC 6901 section 3.
function pathOf(annotation: string): string {
  return `/metadata/annotations/${annotation.replaceAll('~', '~0').replaceAll('/', '~1')}`;
}
