import type { NamedMeta } from '../objects/index.ts';
import { aText, optional, recordOf } from '../shape.ts';

/** Name, namespace, labels and annotations of a manifest. */
export interface ManifestName {
  /** Name of the object. */
  name: string;
  /** Namespace of the object. If it is not given, the manifest has none and `kubectl apply -n` decides. */
  namespace?: string | undefined;
  /** Labels of the object. */
  labels?: Readonly<Record<string, string>> | undefined;
  /** Annotations of the object. */
  annotations?: Readonly<Record<string, string>> | undefined;
}

/** For the options of every builder. */
export const nameShapes = {
  name: aText,
  namespace: optional(aText),
  labels: optional(recordOf(aText)),
  annotations: optional(recordOf(aText)),
};

/** Metadata in the order in which people write it, without the fields that are not given. */
export function metadata({ name, namespace, labels, annotations }: ManifestName): NamedMeta {
  return {
    name,
    ...(namespace === undefined ? {} : { namespace }),
    ...(labels === undefined ? {} : { labels: { ...labels } }),
    ...(annotations === undefined ? {} : { annotations: { ...annotations } }),
  };
}
