import type { Json, KubernetesObject } from './object.ts';
import { apiVersionOf, type ResourceType } from './resources.ts';
import { ApiStatusError, badRequest } from './status.ts';
import { cellsOf, columnsOf } from './table.ts';

/** The form in which a client wants objects. */
export type Representation = 'object' | 'table' | 'metadata' | 'yaml';

/**
 * Chooses from an `Accept` header.
 *
 * @throws ApiStatusError 406 if it names no form that can be sent.
 */
export function negotiate(accept: string | undefined): Representation {
  for (const entry of (accept ?? '').split(',')) {
    const [mediaType = '', ...parameters] = entry.trim().split(';');
    const values = new Map(parameters.map((parameter) => parameter.trim().split('=') as [string, string]));
    const as = values.get('as');
    const json = ['application/json', 'application/*', '*/*', ''].includes(mediaType.trim());
    if (json && as === undefined) return 'object';
    if (json && values.get('g') === 'meta.k8s.io' && (values.get('v') === 'v1' || values.get('v') === 'v1beta1')) {
      if (as === 'Table') return 'table';
      if (as === 'PartialObjectMetadata' || as === 'PartialObjectMetadataList') return 'metadata';
    }
    if (mediaType.trim() === 'application/yaml') return 'yaml';
  }
  const list = 'application/json, application/yaml, application/vnd.kubernetes.protobuf';
  throw new ApiStatusError(406, 'NotAcceptable', `406: Not Acceptable\n\nAvailable representations: ${list}`, {});
}

/** The same for a watch, which has no YAML. @throws ApiStatusError 406 */
export function negotiateWatch(accept: string | undefined): Representation {
  const representation = negotiate(accept);
  if (representation !== 'yaml') return representation;
  const list = 'application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch';
  throw new ApiStatusError(406, 'NotAcceptable', `only the following media types are accepted: ${list}`);
}

/** Options of a table. */
export interface TableOptions {
  readonly now: Date;
  /** Which part of each object its row carries. @defaultValue `Metadata` */
  readonly includeObject: string | null;
  /** Left out in all but the first event of a watch. */
  readonly withColumns: boolean;
}

/** Objects as a `Table` of `meta.k8s.io/v1`, one row each. */
export function asTable(
  type: ResourceType,
  objects: readonly KubernetesObject[],
  metadata: Record<string, unknown>,
  options: TableOptions,
): object {
  const { includeObject } = options;
  if (includeObject && !['Metadata', 'Object', 'None'].includes(includeObject)) {
    throw badRequest(
      `Unable to convert to Table as requested: includeObject: Invalid value: ${JSON.stringify(includeObject)}: must be 'Metadata', 'Object', 'None', or empty`,
    );
  }
  return {
    kind: 'Table',
    apiVersion: 'meta.k8s.io/v1',
    metadata,
    columnDefinitions: options.withColumns ? columnsOf(type) : null,
    rows: objects.map((object) => ({
      cells: cellsOf(type, object, options.now),
      object: includeObject === 'None' ? null : includeObject === 'Object' ? object : asMetadata(object),
    })),
  };
}

/** An object with nothing but its metadata. */
export function asMetadata(object: KubernetesObject): object {
  return { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata: object.metadata };
}

/** Values for the fields of a list that every list has. */
export function asList(
  type: ResourceType,
  objects: readonly KubernetesObject[],
  metadata: Record<string, Json>,
): object {
  return {
    kind: `${type.kind}List`,
    apiVersion: apiVersionOf(type),
    metadata,
    items: objects.map(({ kind: _, apiVersion: __, ...item }) => item),
  };
}
