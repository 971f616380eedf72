import { setTimeout as pause } from 'node:timers/promises';
import type { Pool } from '@externalname/pg';
import { createService } from './service.ts';

/** See {@link serve}. */
export interface ServeOptions {
  readonly host: string;
  readonly port: number;
  /** How long requests are still taken after the readiness probe has begun to say no. Milliseconds. */
  readonly noticeMillis: number;
  /** Called with the URL as soon as requests are taken. */
  readonly onListening: (url: string) => void;
  /** How `noticeMillis` pass. A test passes its own. */
  readonly sleep?: (millis: number) => Promise<unknown>;
}

/**
 * Serves until the signal fires, and then ends in the order that loses no request: the probe says no, and requests are still answered until
 * every load balancer has noticed; no new connections, and the last answers; the pool.
 */
export async function serve(pool: Pool, options: ServeOptions, signal: AbortSignal): Promise<void> {
  const { host, port, noticeMillis, onListening, sleep = pause } = options;
  const app = createService(pool, { isEnding: () => signal.aborted });
  try {
    onListening(await app.listen({ host, port }));
    await new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      signal.addEventListener('abort', () => resolve(), { once: true });
    });
    await sleep(noticeMillis);
  } finally {
    await app.close();
    await pool.end();
  }
}

/** Fires at SIGTERM, by which Kubernetes ends a pod, and at Ctrl-C. */
export function endOfProcess(): AbortSignal {
  const ending = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => ending.abort());
  return ending.signal;
}
