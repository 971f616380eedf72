import type { IncomingMessage, ServerResponse } from 'node:http';
import { aggregatedDiscovery, coreVersions, groupList, groupNamed, resourceList } from './discovery.ts';
import { kubernetesVersion, openApiDocument, openApiIndex, openApiV2 } from './openapi.ts';
import type { RequestTarget } from './request-target.ts';
import { sendJson } from './response.ts';
import { ApiStatusError, methodNotAllowed, noSuchPath } from './status.ts';

/** Answers requests that are not for a resource: discovery, OpenAPI, version and health. `server` is the `address:port` to name. */
export function answerPath(
  request: IncomingMessage,
  response: ServerResponse,
  { path, query, otherMethod }: RequestTarget & { kind: 'path' },
  server: string,
): void {
  if (otherMethod === true) throw methodNotAllowed();
  const accept = request.headers.accept ?? '';
  if (path === '/api' || path === '/apis') {
    const aggregated = /g=apidiscovery\.k8s\.io;v=(v2|v2beta1);as=APIGroupDiscoveryList/.exec(accept);
    if (aggregated !== null) {
      const version = aggregated[1] as 'v2' | 'v2beta1';
      const type = `application/json;g=apidiscovery.k8s.io;v=${version};as=APIGroupDiscoveryList`;
      sendJson(response, 200, aggregatedDiscovery(path === '/api' ? 'core' : 'groups', version), type, request);
      return;
    }
    sendJson(response, 200, path === '/api' ? coreVersions(server) : groupList());
    return;
  }
  const found = documentAt(path);
  if (found !== undefined) {
    sendJson(response, 200, found, 'application/json', path.startsWith('/openapi') ? request : undefined);
    return;
  }
  if (path === '/openapi/v2') {
    // kubectl accepts only protobuf here, and reads version 3 if it can.
    if (accept.includes('protobuf') && !accept.includes('json')) {
      throw new ApiStatusError(406, 'NotAcceptable', '406: Not Acceptable', {});
    }
    sendJson(response, 200, openApiV2(), 'application/json', request);
    return;
  }
  if (healthPaths.has(path)) {
    response.writeHead(200, { 'content-type': 'text/plain; charset=utf-8' });
    response.end(query.has('verbose') ? `[+]ping ok\n${path.slice(1)} check passed\n` : 'ok');
    return;
  }
  // Below a group that is served, the refusal is a Status; elsewhere it is plain text.
  if (path.startsWith('/api/v1/') || groupNamed(/^\/apis\/([^/]+)\//.exec(path)?.[1] ?? '') !== undefined)
    throw noSuchPath();
  response.writeHead(404, { 'content-type': 'text/plain; charset=utf-8' });
  response.end('404 page not found\n');
}

function documentAt(path: string): object | undefined {
  if (path === '/')
    return {
      paths: ['/api', '/api/v1', '/apis', '/healthz', '/livez', '/openapi/v2', '/openapi/v3', '/readyz', '/version'],
    };
  if (path === '/version' || path === '/version/') return versionInfo();
  if (path === '/openapi/v3') return openApiIndex();
  if (path.startsWith('/openapi/v3/')) return openApiDocument(path.slice('/openapi/v3/'.length));
  const core = /^\/api\/([^/]+)$/.exec(path);
  if (core !== null) return resourceList('', core[1] ?? '');
  const [, group = '', version] = /^\/apis\/([^/]+)(?:\/([^/]+))?$/.exec(path) ?? [];
  if (group === '') return undefined;
  return version === undefined ? groupNamed(group) : resourceList(group, version);
}

function versionInfo(): object {
  const [, major = '1', minor = ''] = /^v(\d+)\.(\d+)/.exec(kubernetesVersion) ?? [];
  return {
    major,
    minor,
    gitVersion: `${kubernetesVersion}+local-cluster`,
    gitCommit: '',
    gitTreeState: 'clean',
    buildDate: '1970-01-01T00:00:00Z',
    goVersion: '',
    compiler: '',
    platform: `${process.platform}/${process.arch}`,
  };
}

const healthPaths: ReadonlySet<string> = new Set([
  '/healthz',
  '/livez',
  '/readyz',
  '/healthz/ping',
  '/livez/ping',
  '/readyz/ping',
]);
