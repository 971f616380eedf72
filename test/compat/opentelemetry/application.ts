import type { PoolOptions } from '@externalname/pg';
import { trace } from '@opentelemetry/api';
import type pg from 'pg';
import { answer, sayReady } from './commands.ts';

/** What an application has imported or required, after its tracing. */
export interface Modules {
  readonly ours: { readonly Pool: new (options: PoolOptions) => pg.Pool };
  readonly pg: { readonly Pool: new (options: pg.PoolConfig) => pg.Pool };
}

/** An application that handles one request after another, and its parent process is told of each. */
export function startApplication(modules: Modules): void {
  const tracer = trace.getTracer('application');
  let pool: pg.Pool | undefined;
  const open = (): pg.Pool => {
    if (pool === undefined) throw new Error('there is no pool');
    return pool;
  };
  answer({
    open(module: keyof Modules, options: PoolOptions) {
      pool = new modules[module].Pool(options);
    },
    query: (request: string, text: string) =>
      tracer.startActiveSpan(request, async (span) => {
        try {
          const { rows } = await open().query(text);
          return rows;
        } finally {
          span.end();
        }
      }),
    transaction: (request: string, text: string) =>
      tracer.startActiveSpan(request, async (span) => {
        const client = await open().connect();
        try {
          await client.query('begin');
          await client.query(text);
          await client.query('commit');
        } finally {
          client.release();
          span.end();
        }
      }),
    async end() {
      await open().end();
    },
  });
  sayReady();
}
