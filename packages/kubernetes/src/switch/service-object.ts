import { printable } from '@externalname/core/internal';
import { canonicalName } from '@externalname/core/names';
import { isText, record } from '../api/json.ts';
import { readService, type ServiceSnapshot } from '../api/services.ts';

/** A Service as it was read before a switch. */
export interface ServiceToSwitch extends ServiceSnapshot {
  readonly uid: string;
  /** Canonical form of `externalName`; undefined unless the Service is of type ExternalName. */
  readonly target: string | undefined;
  readonly labels: Readonly<Record<string, string>>;
  /** Undefined if the object has no annotations at all. */
  readonly annotations: Readonly<Record<string, string>> | undefined;
  readonly managedFields: readonly ManagedFieldsEntry[];
}

/** Which manager set which fields (Kubernetes documentation, "Server-Side Apply", "Field management"). */
export interface ManagedFieldsEntry {
  readonly manager: string;
  /** `Apply` or `Update` */
  readonly operation: string;
  /** Whether `spec.externalName` is among the fields. */
  readonly ownsExternalName: boolean;
}

/** Reads a Service object of the API; what is missing is empty. Undefined if it is not a Service. */
export function readServiceToSwitch(object: unknown): ServiceToSwitch | undefined {
  const service = readService(object);
  if (service === undefined) return undefined;
  const { uid, labels, annotations, managedFields } = record(record(object)['metadata']);
  const { type, externalName } = service;
  return {
    ...service,
    uid: isText(uid) ? uid : '',
    target: type === 'ExternalName' && externalName !== undefined ? canonicalName(externalName) : undefined,
    labels: texts(labels),
    annotations: annotations === undefined ? undefined : texts(annotations),
    managedFields: (Array.isArray(managedFields) ? managedFields : []).map(record).map((entry) => ({
      manager: isText(entry['manager']) ? entry['manager'] : '',
      operation: isText(entry['operation']) ? entry['operation'] : '',
      ownsExternalName: 'f:externalName' in record(record(entry['fieldsV1'])['f:spec']),
    })),
  };
}

/**
 * The tools that will put the old name back: those that own `spec.externalName` by server-side apply, and those that are known to
 * keep objects as their repository says. Each entry names one tool.
 */
export function gitOpsOwners(service: ServiceToSwitch): string[] {
  const owners = new Map<string, string>();
  for (const { manager, operation, ownsExternalName } of service.managedFields) {
    if (!ownsExternalName || manager === fieldManager) continue;
    const tool = tools.find(({ managers }) => managers.test(manager));
    if (tool !== undefined) owners.set(tool.name, `${tool.name} (field manager ${manager})`);
    else if (operation === 'Apply') owners.set(manager, `field manager ${manager}, by server-side apply`);
  }
  for (const { name, marks } of tools) {
    const marked = [...Object.entries(service.labels), ...Object.entries(service.annotations ?? {})];
    const mark = marked.find(([key, value]) => marks.test(`${key}=${value}`));
    if (mark !== undefined && !owners.has(name)) owners.set(name, `${name} (by ${mark[0]})`);
  }
  return [...owners.values()].slice(0, 20).map((owner) => printable(owner, 300));
}

/** The name of our own writes in `managedFields`. */
export const fieldManager = 'externalname';

const tools = [
  { name: 'Argo CD', managers: /^argocd/, marks: /^argocd\.argoproj\.io\/(tracking-id|instance)=/ },
  {
    name: 'Flux',
    managers: /^(kustomize|helm)-controller$/,
    marks: /^(kustomize|helm)\.toolkit\.fluxcd\.io\/name=/,
  },
  { name: 'Helm', managers: /^helm$/i, marks: /^app\.kubernetes\.io\/managed-by=Helm$|^meta\.helm\.sh\/release-name=/ },
  { name: 'Terraform', managers: /^terraform/i, marks: /^app\.kubernetes\.io\/managed-by=Terraform$/ },
  { name: 'Pulumi', managers: /^pulumi/i, marks: /^app\.kubernetes\.io\/managed-by=pulumi$/ },
] as const;

function texts(value: unknown): Record<string, string> {
  const entries = Object.entries(record(value)).filter(
    (entry): entry is [string, string] => typeof entry[1] === 'string',
  );
  return Object.fromEntries(entries);
}
