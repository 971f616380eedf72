import type { NamedMeta } from '../objects/index.ts';
import { aText, optional, recordOf } from '../shape.ts';

/** How a manifest is named and marked. */
export interface ManifestName {
  /** Name of the object. */
  name: string;
  /** Left out of the manifest where it is not given: `kubectl apply -n` decides. */
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

/** Metadata in the order in which people write it; what is not given is not written. */
export function metadata({ name, namespace, labels, annotations }: ManifestName): NamedMeta {
  return {
    name,
    ...(namespace === undefined ? {} : { namespace }),
    ...(labels === undefined ? {} : { labels: { ...labels } }),
    ...(annotations === undefined ? {} : { annotations: { ...annotations } }),
  };
}
