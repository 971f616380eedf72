import type { NamedMeta } from '../objects/index.ts';

/** How a manifest is named and marked. */
export interface ManifestName {
  name: string;
  /** Left out of the manifest where it is not given: `kubectl apply -n` decides. */
  namespace?: string | undefined;
  labels?: Readonly<Record<string, string>> | undefined;
  annotations?: Readonly<Record<string, string>> | undefined;
}

/** Metadata in the order in which people write it; what is not given is not written. */
export function metadata({ name, namespace, labels, annotations }: ManifestName): NamedMeta {
  return {
    name,
    ...(namespace === undefined ? {} : { namespace }),
    ...(labels === undefined ? {} : { labels: { ...labels } }),
    ...(annotations === undefined ? {} : { annotations: { ...annotations } }),
  };
}
