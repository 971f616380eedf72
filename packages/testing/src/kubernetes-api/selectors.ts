import { isJsonObject, type KubernetesObject } from './object.ts';
import type { ResourceType } from './resources.ts';
import { badRequest } from './status.ts';

/** Whether an object matches. */
export type Selector = (object: KubernetesObject) => boolean;

/**
 * Reads a label selector: `app=db`, `app!=db`, `app in (a,b)`, `app notin (a)`, `app`, `!app`, `app>1`, comma-separated.
 *
 * Source: Kubernetes documentation, "Labels and Selectors"; apimachinery `pkg/labels/selector.go` (Parser).
 *
 * @throws ApiStatusError 400 if it cannot be read.
 */
export function parseLabelSelector(text: string): Selector {
  const tokens = text.match(/[!=<>]+|[(),]|[^\s!=<>(),]+/g) ?? [];
  const requirements: ((labels: Record<string, string>) => boolean)[] = [];
  let at = 0;
  const peek = () => tokens[at] ?? '';
  const isWord = (token: string) => token !== '' && !/^[!=<>(),]/.test(token);
  const expected = (what: string) => badRequest(`unable to parse requirement: found '${peek()}', expected: ${what}`);

  const readValues = (): string[] => {
    if (peek() !== '(') throw expected("'('");
    at += 1;
    const values: string[] = [];
    for (;;) {
      values.push(isWord(peek()) ? (tokens[at++] ?? '') : '');
      if (peek() === ')') break;
      if (peek() !== ',') throw expected("',' or ')'");
      at += 1;
    }
    at += 1;
    return values;
  };

  while (at < tokens.length) {
    if (peek() !== '!' && !isWord(peek())) {
      throw badRequest(`found '${peek()}', expected: !, identifier, or 'end of string'`);
    }
    const not = peek() === '!';
    if (not) at += 1;
    if (!isWord(peek())) throw expected('identifier');
    const key = peek();
    at += 1;
    const operator = peek();
    if (not || operator === '' || operator === ',') {
      requirements.push((labels) => key in labels !== not);
    } else if (operator === 'in' || operator === 'notin') {
      at += 1;
      const values = checkedValues(key, readValues());
      requirements.push((labels) => values.includes(labels[key]) === (operator === 'in'));
    } else if (['=', '==', '!=', '<', '>'].includes(operator)) {
      at += 1;
      const [value = ''] = checkedValues(key, [isWord(peek()) ? (tokens[at++] ?? '') : '']);
      requirements.push(
        operator === '<' || operator === '>'
          ? (labels) => /^-?\d+$/.test(labels[key] ?? '') && Number(labels[key]) > Number(value) === (operator === '>')
          : (labels) => (labels[key] === value) === (operator !== '!='),
      );
    } else {
      throw expected('in, notin, =, ==, !=, gt, lt');
    }
    if (at === tokens.length) break;
    if (peek() !== ',') throw badRequest(`found '${peek()}', expected: ',' or 'end of string'`);
    at += 1;
  }
  return (object) => requirements.every((requirement) => requirement(object.metadata.labels ?? {}));
}

function checkedValues(key: string, values: string[]): (string | undefined)[] {
  for (const [index, value] of values.entries()) {
    if (/^(?:(?:[A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$/.test(value)) continue;
    throw badRequest(
      `unable to parse requirement: values[${index}][${key}]: Invalid value: ${JSON.stringify(value)}: a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')`,
    );
  }
  return values;
}

/**
 * Reads a field selector: `metadata.name=db,spec.type!=ClusterIP`. Which fields may be used depends on the type.
 *
 * @throws ApiStatusError 400 if it is not valid or names another field.
 */
export function parseFieldSelector(text: string, type: ResourceType): Selector {
  const terms = text
    .split(',')
    .filter((term) => term !== '')
    .map((term) => {
      const match = /^([^=!]+)(==|=|!=)(.*)$/.exec(term);
      if (match === null) throw badRequest(`invalid selector: '${text}'; can't understand '${term}'`);
      const [, field = '', operator, value = ''] = match;
      if (!isSelectable(type, field)) {
        throw badRequest(`field label not supported: ${field}`);
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
