import { isJsonObject, type KubernetesObject } from './object.ts';
import type { ResourceType } from './resources.ts';
import { badRequest, qualified } from './status.ts';

/** Tells whether an object is wanted. */
export type Selector = (object: KubernetesObject) => boolean;

/**
 * Reads a label selector: `app=db`, `app!=db`, `app in (a,b)`, `app notin (a)`, `app`, `!app`, comma-separated.
 *
 * Source: Kubernetes documentation, "Labels and Selectors".
 *
 * @throws ApiStatusError 400 where it cannot be read.
 */
export function parseLabelSelector(text: string): Selector {
  const requirements = splitRequirements(text).map(parseLabelRequirement);
  return (object) => {
    const labels = object.metadata.labels ?? {};
    return requirements.every((requirement) => requirement(labels));
  };
}

/**
 * Reads a field selector: `metadata.name=db,spec.type!=ClusterIP`. Which fields may be used depends on the type.
 *
 * @throws ApiStatusError 400 where it cannot be read or names another field.
 */
export function parseFieldSelector(text: string, type: ResourceType): Selector {
  const terms = text
    .split(',')
    .filter((term) => term !== '')
    .map((term) => {
      const match = /^([^=!]+)(==|=|!=)(.*)$/.exec(term);
      if (match === null)
        throw badRequest(`invalid field selector ${JSON.stringify(text)}; can't understand ${JSON.stringify(term)}`);
      const [, field = '', operator, value = ''] = match;
      if (!isSelectable(type, field)) {
        throw badRequest(
          `Unable to find ${JSON.stringify(qualified(type))} that match label selector "", field selector ${JSON.stringify(text)}: field label not supported: ${field}`,
        );
      }
      return { field, equal: operator !== '!=', value };
    });
  return (object) => terms.every(({ field, equal, value }) => (fieldOf(object, field) === value) === equal);
}

/** The name that a field selector pins, if it does: `metadata.name=db`. */
export function selectedName(text: string): string | undefined {
  for (const term of text.split(',')) {
    const match = /^metadata\.name==?([^=].*)$/.exec(term);
    if (match !== null) return match[1];
  }
  return undefined;
}

function isSelectable(type: ResourceType, field: string): boolean {
  if (field === 'metadata.name' || (field === 'metadata.namespace' && type.namespaced)) return true;
  return selectable[type.kind]?.includes(field) ?? false;
}

function fieldOf(object: KubernetesObject, field: string): string {
  if (object.kind === 'Event') {
    if (field === 'source') field = isJsonObject(object['source']) ? 'source.component' : 'reportingComponent';
    if (field === 'reportingComponent') {
      const source = isJsonObject(object['source']) ? object['source']['component'] : undefined;
      return String(object['reportingComponent'] ?? source ?? '');
    }
    field = field.replace(/^regarding\./, 'involvedObject.');
  }
  let value: unknown = object;
  for (const step of field.split('.')) value = isJsonObject(value) ? value[step] : undefined;
  return value === undefined || value === null ? '' : String(value);
}

function splitRequirements(text: string): string[] {
  const parts = [''];
  let depth = 0;
  for (const character of text) {
    if (character === '(') depth += 1;
    if (character === ')') depth -= 1;
    if (character === ',' && depth === 0) parts.push('');
    else parts[parts.length - 1] += character;
  }
  return parts.map((part) => part.trim()).filter((part) => part !== '');
}

function parseLabelRequirement(text: string): (labels: Record<string, string>) => boolean {
  const sets = /^([^\s!=(),]+)\s+(in|notin)\s*\(([^()]*)\)$/.exec(text);
  if (sets !== null) {
    const [, key = '', operator, list = ''] = sets;
    const values = list.split(',').map((value) => value.trim());
    return (labels) => {
      const value = labels[key];
      return operator === 'in'
        ? value !== undefined && values.includes(value)
        : value === undefined || !values.includes(value);
    };
  }
  const equality = /^([^\s!=(),]+)\s*(==|=|!=)\s*([^\s!=(),]*)$/.exec(text);
  if (equality !== null) {
    const [, key = '', operator, value] = equality;
    return (labels) => (labels[key] === value) === (operator !== '!=');
  }
  const presence = /^(!?)\s*([^\s!=(),]+)$/.exec(text);
  if (presence === null) throw badRequest(`unable to parse requirement: found '${text}', expected: identifier`);
  const [, not, key = ''] = presence;
  return (labels) => key in labels === (not === '');
}

const selectable: Record<string, readonly string[]> = {
  Service: ['spec.clusterIP', 'spec.type'],
  Namespace: ['status.phase'],
  Pod: [
    'spec.nodeName',
    'spec.restartPolicy',
    'spec.schedulerName',
    'spec.serviceAccountName',
    'spec.hostNetwork',
    'status.phase',
    'status.podIP',
    'status.nominatedNodeName',
  ],
  Event: [
    'involvedObject.kind',
    'involvedObject.namespace',
    'involvedObject.name',
    'involvedObject.uid',
    'involvedObject.apiVersion',
    'involvedObject.resourceVersion',
    'involvedObject.fieldPath',
    'regarding.kind',
    'regarding.namespace',
    'regarding.name',
    'regarding.uid',
    'reason',
    'reportingComponent',
    'source',
    'type',
  ],
};
