import type { IncomingMessage } from 'node:http';
import { type RequestOptions, request } from 'node:https';
import { isDeepStrictEqual } from 'node:util';
import { readYaml } from '@externalname/core/internal-yaml';
import type { KubeClient } from '../control-plane/kube-client.ts';
import type { Case, Request } from './requests.ts';

/** What came back, without what differs between two servers in any case: uids, times, versions, allocated addresses. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: unknown;
}

/** A cluster that the cases are sent to. */
export interface Place {
  readonly admin: KubeClient;
  /** An account of the test's namespace that may do nothing. */
  readonly account: KubeClient;
  readonly namespace: string;
}

/** Sends a case's requests, one after the other, and gives the answer to the last. */
export async function exchange(place: Place, { given = [], request, during, events }: Case): Promise<Answer> {
  let known = nothingKnown;
  for (const each of given) known = await must(place, each, known);
  const response = await open(place, request, known);
  const watched = read(response, events);
  // A failure below must not leave this rejection unhandled; it is awaited after that.
  watched.catch(() => undefined);
  for (const each of during ?? []) known = await must(place, each, known);
  const text = await watched;
  return {
    status: response.statusCode ?? 0,
    headers: headersOf(response),
    body: withoutChance(bodyOf(text, response.headers['content-type'] ?? ''), known),
  };
}

const nothingKnown: Given = { resourceVersion: '', uid: '' };

interface Given {
  readonly resourceVersion: string;
  readonly uid: string;
}

async function must(place: Place, each: Request, known: Given): Promise<Given> {
  const response = await open(place, each, known);
  const text = await read(response);
  const { metadata } = JSON.parse(text) as { metadata?: Partial<Given> };
  if ((response.statusCode ?? 500) >= 300)
    throw new Error(`${each.method} ${each.path}: ${response.statusCode} ${text}`);
  return { resourceVersion: metadata?.resourceVersion ?? '', uid: metadata?.uid ?? '' };
}

async function open(
  place: Place,
  { method, path, body, type, accept, as, headers }: Request,
  known: Given,
): Promise<IncomingMessage> {
  const filled = (text: string) =>
    text.replaceAll('{ns}', place.namespace).replaceAll('{rv}', known.resourceVersion).replaceAll('{uid}', known.uid);
  const text = body === undefined ? undefined : filled(typeof body === 'string' ? body : JSON.stringify(body));
  const options: RequestOptions = {
    method,
    timeout: 60_000,
    headers: {
      Accept: accept ?? 'application/json',
      // The API server takes the field manager from it.
      'User-Agent': 'differential/1.0',
      ...(text === undefined
        ? {}
        : { 'Content-Type': type ?? 'application/json', 'Content-Length': Buffer.byteLength(text) }),
      ...Object.fromEntries(Object.entries(headers ?? {}).map(([name, value]) => [name, filled(value)])),
    },
  };
  const client = as === 'account' ? place.account : place.admin;
  await client.config.applyToHTTPSOptions(options as Parameters<typeof client.config.applyToHTTPSOptions>[0]);
  const sent = options.headers as Record<string, string>;
  if (as === 'anonymous') delete sent['Authorization'];
  if (as === 'bad-token') sent['Authorization'] = 'Bearer no-such-token';
  return new Promise((resolve, reject) => {
    const outgoing = request(place.admin.server + filled(path), options, resolve);
    outgoing.on('timeout', () => outgoing.destroy(new Error(`no answer to ${method} ${path}`)));
    outgoing.on('error', reject);
    outgoing.end(text);
  });
}

/** The whole body, or as many lines as are asked for. */
async function read(response: IncomingMessage, lines = Number.POSITIVE_INFINITY): Promise<string> {
  let text = '';
  response.setEncoding('utf8');
  for await (const chunk of response) {
    text += String(chunk);
    if (text.split('\n').length > lines) break;
  }
  return text;
}

const headersThatMatter = ['content-type', 'cache-control', 'retry-after', 'warning', 'allow', 'www-authenticate'];

function headersOf(response: IncomingMessage): Record<string, string> {
  const found = headersThatMatter.map((name) => [name, response.headersDistinct[name]?.join(', ')] as const);
  return Object.fromEntries(found.flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])));
}

function bodyOf(text: string, contentType: string): unknown {
  if (contentType.startsWith('application/yaml')) return readYaml(text, 'yaml').map(({ value }) => value);
  if (!contentType.startsWith('application/json')) return text;
  const lines = text.split('\n').filter((line) => line !== '');
  try {
    return JSON.parse(text);
  } catch {
    return lines.map((line) => JSON.parse(line) as unknown);
  }
}

/** Replaces what two servers cannot have in common by what it is. The order of fields does not count. */
function withoutChance(value: unknown, known: Given, key = ''): unknown {
  if (Array.isArray(value)) return value.map((item) => withoutChance(item, known, key));
  if (typeof value === 'object' && value !== null) {
    // Other tests write meanwhile, and the version of a list is that of the whole server.
    const given = 'items' in value || 'rows' in value ? nothingKnown : known;
    return Object.fromEntries(
      Object.entries(value).map(([name, item]) => [
        name,
        withoutChance(item, name === 'metadata' ? given : known, name),
      ]),
    );
  }
  // Kubernetes' documentation is not copied: LocalCluster describes the columns of tables in words of its own.
  if (key === 'description') return '<description>';
  if (typeof value === 'number') return key === 'nodePort' && value >= 30_000 ? '<node port>' : value;
  if (typeof value !== 'string') return value;
  if (key === 'resourceVersion' && value !== '')
    return value === known.resourceVersion ? '<version as given>' : '<version>';
  if (key === 'uid') return value === known.uid ? '<uid as given>' : '<uid>';
  if (key === 'continue' && value !== '') return '<continue>';
  return (
    value
      .replaceAll(/\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b/g, (uid) =>
        uid.startsWith('b37c2b2e') ? uid : '<uid>',
      )
      .replaceAll(/\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ/g, '<time>')
      .replaceAll(/\b10\.96\.(?!200\.200)\d+\.\d+\b/g, '<cluster address>')
      .replaceAll(/\bfd00::[0-9a-f]+\b/g, '<cluster address>')
      // An object in Go's order of fields.
      .replaceAll(/Invalid value: "\{.*\}": /g, 'Invalid value: "<object>": ')
      .replaceAll(/(in record \()\d+(?=\))/g, '$1<version>')
      .replaceAll(/^db-[a-z0-9]{5}$/g, 'db-<random>')
      .replaceAll(/^(?:\d+[smh])+$/g, '<age>')
      .replaceAll(/:3[0-2]\d{3}\/TCP/g, ':<node port>/TCP')
  );
}

/** A part of an answer that is not the same in both. */
export interface Difference {
  readonly path: string;
  readonly real: unknown;
  readonly local: unknown;
}

/** Where two answers differ. If one is a refusal and the other an object, their bodies differ as a whole. */
export function differences(real: unknown, local: unknown, path = ''): Difference[] {
  if (isDeepStrictEqual(real, local)) return [];
  const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;
  const alike = isObject(real) && isObject(local) && Array.isArray(real) === Array.isArray(local);
  if (!alike || (real['kind'] !== local['kind'] && path === 'body')) return [{ path, real, local }];
  const names = [...new Set([...Object.keys(real), ...Object.keys(local)])];
  return names.flatMap((name) => differences(real[name], local[name], path === '' ? name : `${path}.${name}`));
}
