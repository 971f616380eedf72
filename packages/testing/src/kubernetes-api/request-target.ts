import { findResource, type ResourceType } from './resources.ts';

/** What a request is about, read from its method and URL. */
export type RequestTarget =
  | {
      readonly kind: 'resource';
      readonly verb: ResourceVerb;
      readonly type: ResourceType;
      /** Empty for all namespaces, and for types that have none. */
      readonly namespace: string;
      /** Empty for a collection. */
      readonly name: string;
      readonly subresource: string | undefined;
      readonly query: URLSearchParams;
    }
  | {
      readonly kind: 'path';
      readonly path: string;
      readonly query: URLSearchParams;
      /** Whether a resource is served there, but not by this method. */
      readonly otherMethod?: boolean;
    };

/** What a request does with a resource, as RBAC names it. */
export type ResourceVerb = 'get' | 'list' | 'watch' | 'create' | 'update' | 'patch' | 'delete' | 'deletecollection';

/**
 * Reads a request.
 *
 * Source: Kubernetes apiserver `pkg/endpoints/request/requestinfo.go`.
 */
export function parseTarget(method: string, url: string): RequestTarget {
  const { pathname, searchParams: query } = new URL(url, 'http://local');
  const elsewhere = { kind: 'path', path: pathname, query } as const;
  const parts = pathname
    .split('/')
    .filter((part) => part !== '')
    .map(decode);
  const [room, ...rest] = parts;
  if (room !== 'api' && room !== 'apis') return elsewhere;
  const group = room === 'api' ? '' : (rest.shift() ?? '');
  const version = rest.shift();
  if (version === undefined || rest.length === 0) return elsewhere;

  let namespace = '';
  if (rest[0] === 'namespaces' && rest.length > 2 && !namespaceSubresources.has(rest[2] ?? '')) {
    namespace = rest[1] ?? '';
    rest.splice(0, 2);
  }
  const [plural = '', name = '', subresource, ...more] = rest;
  const type = findResource(group, version, plural);
  const verb = verbOf(method, name, query);
  if (type === undefined || more.length > 0) return elsewhere;
  if (verb === undefined) return { ...elsewhere, otherMethod: true };
  if (!type.namespaced && namespace !== '') return elsewhere;
  if (type.namespaced && namespace === '' && (name !== '' || !['list', 'watch', 'create'].includes(verb)))
    return elsewhere;
  if (subresource !== undefined && !type.subresources.includes(subresource)) return elsewhere;
  return { kind: 'resource', verb, type, namespace, name, subresource, query };
}

function verbOf(method: string, name: string, query: URLSearchParams): ResourceVerb | undefined {
  switch (method) {
    case 'GET':
    case 'HEAD':
      if (name !== '') return 'get';
      return query.has('watch') && !['false', '0'].includes(query.get('watch') ?? '') ? 'watch' : 'list';
    case 'POST':
      return 'create';
    case 'PUT':
      return 'update';
    case 'PATCH':
      return 'patch';
    case 'DELETE':
      return name === '' ? 'deletecollection' : 'delete';
    default:
      return undefined;
  }
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

const namespaceSubresources: ReadonlySet<string> = new Set(['status', 'finalize']);
