import { createServer, type Server, type ServerResponse } from 'node:http';
import { isIP } from 'node:net';
import { InvalidArgumentError } from '@externalname/core';
import type { EngineFollower } from '@externalname/engines';

/** Where probes and Prometheus ask. */
export interface HealthPlace {
  /** Undefined for all addresses, as a pod needs it. */
  readonly host: string | undefined;
  readonly port: number;
}

/**
 * Reads `8080`, `127.0.0.1:8080` or `[::1]:8080`.
 *
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT`
 */
export function healthPlace(written: string): HealthPlace {
  const [, six, four, digits = ''] = /^(?:\[([^\]]+)\]:|([^:]+):)?(\d{1,5})$/.exec(written) ?? [];
  const host = six ?? four;
  const port = Number(digits || Number.NaN);
  if (port <= 65_535 && (host === undefined || isIP(host) === (six === undefined ? 4 : 6))) return { host, port };
  throw new InvalidArgumentError(
    '--health',
    `must be a port, or an address and a port, as in 8080 or 127.0.0.1:8080, got ${JSON.stringify(written)}`,
  );
}

/** A server for probes and for Prometheus. */
export interface HealthServer extends AsyncDisposable {
  readonly port: number;
}

/**
 * Serves `/healthz` (200 while the process runs), `/readyz` (200 if the follower is `ready`, else 503) and `/metrics`. `/healthz` does not ask how the
 * follower is: a restart would mend nothing, and give away the Lease.
 *
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT` if the port cannot be listened on
 */
export async function serveHealth({ host, port }: HealthPlace, follower: EngineFollower): Promise<HealthServer> {
  const metrics = await metricsOf(follower);
  const server = createServer(({ method, url = '/' }, response) => {
    const path = url.split('?')[0];
    if (method !== 'GET' && method !== 'HEAD') answer(response, 405, { error: 'only GET and HEAD are answered' });
    else if (path === '/healthz') answer(response, 200, { live: true });
    else if (path === '/readyz') {
      const { ready, settled, service, target, hold } = follower.status();
      answer(response, ready ? 200 : 503, { ready, settled, service, target, hold });
    } else if (path === '/metrics') {
      metrics.text().then(
        (text) => {
          response.writeHead(200, { 'Content-Type': metrics.contentType }).end(text);
        },
        (error: unknown) => answer(response, 500, { error: String(error) }),
      );
    } else answer(response, 404, { error: '/healthz, /readyz and /metrics are served' });
  });
  server.headersTimeout = 5_000;
  server.requestTimeout = 5_000;
  try {
    const actual = await listening(server, { host, port });
    return {
      port: actual,
      [Symbol.asyncDispose]: async () => {
        metrics.close();
        server.closeAllConnections();
        await new Promise((resolve) => server.close(resolve));
      },
    };
  } catch (cause) {
    metrics.close();
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new InvalidArgumentError('--health', `must be a free port: ${reason}`, { cause });
  }
}

function listening(server: Server, place: HealthPlace): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(place, () => {
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : place.port);
    });
  });
}

function answer(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'Content-Type': 'application/json', 'Cache-Control': 'no-store' });
  response.end(`${JSON.stringify(body)}\n`);
}

/** The metrics of the follower, in a registry of their own. */
async function metricsOf(follower: EngineFollower) {
  const [{ collectMetrics }, { Registry }] = await Promise.all([
    import('@externalname/prometheus'),
    import('prom-client'),
  ]);
  const register = new Registry();
  const collection = collectMetrics({ followers: [follower], register });
  return { contentType: register.contentType, text: () => register.metrics(), close: () => collection.close() };
}
