import type { Pool } from '@externalname/pg';
import { collectMetrics } from '@externalname/prometheus';
import fastify, { type FastifyInstance } from 'fastify';
import { Registry } from 'prom-client';

/** See {@link createService}. */
export interface ServiceOptions {
  /** Whether the process is about to end, so that it shall get no more requests. @defaultValue never */
  readonly isEnding?: () => boolean;
}

/** A service over one pool: `/work` uses it, and the other three are for those who run it. */
export function createService(pool: Pool, { isEnding = () => false }: ServiceOptions = {}): FastifyInstance {
  const app = fastify();
  const register = new Registry();
  const metrics = collectMetrics({ pools: [pool], register });
  app.addHook('onClose', () => metrics.close());
  // A connection that is kept alive would hold up the end, for as long as `keepAliveTimeout` of Fastify: 72 seconds.
  app.addHook('onSend', async (_request, reply) => {
    if (isEnding()) reply.header('connection', 'close');
  });

  app.get('/work', async () => {
    const { rows } = await pool.query<{ address: string }>('select host(inet_server_addr()) as address');
    return rows[0];
  });

  // The process runs. This says nothing about the database: to restart pods in an outage does not help.
  app.get('/healthz', () => ({ status: 'alive' }));

  // A verified connection to an allowed target in the wanted role has answered within the last second.
  app.get('/readyz', async (_request, reply) => {
    if (isEnding()) return reply.code(503).send({ ready: false, reason: 'the process is ending' });
    try {
      await pool.ready({ signal: AbortSignal.timeout(readyTimeoutMillis) });
    } catch (error) {
      return reply.code(503).send({ ready: false, reason: error instanceof Error ? error.message : String(error) });
    }
    const { target, serving, waiting } = pool.status();
    if (target === undefined || !serving) return reply.code(503).send({ ready: false, reason: 'no server serves' });
    return { ready: true, target: target.externalName, waiting };
  });

  app.get('/metrics', async (_request, reply) => reply.type(register.contentType).send(await register.metrics()));
  return app;
}

// Less than the timeoutSeconds of the probe.
const readyTimeoutMillis = 800;
