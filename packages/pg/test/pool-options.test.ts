import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { Socket } from 'node:net';
import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { Pool, type PoolOptions } from '../src/index.ts';
import { obliging } from './support/fake-postgres.ts';
import { ended, start, startServer } from './support/pool-on-fake.ts';

describe('secrets', () => {
  it('do not show when a pool is printed', async () => {
    const pool = new Pool({
      connectionString: 'postgres://app:hunter22@127.0.0.1:1/app',
      ssl: { key: 'PRIVATE', passphrase: 'hunter33' },
    } as PoolOptions);
    ended(pool);
    for (const printed of [
      inspect(pool, { depth: 9, showHidden: false }),
      inspect(pool.options, { depth: 9 }),
      inspect({ pool }, { depth: 9 }),
    ]) {
      expect(printed).not.toMatch(/hunter|PRIVATE/);
    }
  });
});

describe('the constructor', () => {
  it('does not call a stream factory', async () => {
    let made = 0;
    const stream = () => {
      made += 1;
      return new Socket();
    };
    const pool = new Pool({ host: '127.0.0.1', port: 1, stream } as PoolOptions);
    ended(pool);
    expect(made).toBe(0);
  });

  it('takes sslnegotiation: direct for a Service without an ssl option, as TLS is on', () => {
    const pool = new Pool({
      service: 'webscaler-db',
      allowedTargets: ['*.example.com'],
      sslnegotiation: 'direct',
    } as PoolOptions);
    ended(pool);
  });
});

describe('a stream of the application', () => {
  it('is refused for a Service, which the pool dials itself', () => {
    const options = { service: 'webscaler-db', allowedTargets: ['*.example.com'], stream: () => new Socket() };
    expect(() => new Pool(options as PoolOptions)).toThrow(
      expect.objectContaining({ code: 'ERR_EXTERNALNAME_INVALID_ARGUMENT', argument: 'stream' }),
    );
  });
});

describe('the options of another pool', () => {
  it('keep their hidden password', async () => {
    const { pool, server } = await start({ password: 'hunter22', requireAuth: 'none' });
    const copy = new Pool({ ...server.options(), ...pool.options, password: pool.options.password } as PoolOptions);
    ended(copy);
    const again = new Pool(Object.create(null, Object.getOwnPropertyDescriptors(pool.options)));
    ended(again);
    expect(again.options.password).toBe('hunter22');
    expect(Object.keys(again.options)).not.toContain('password');
  });
});

describe('allowExitOnIdle', () => {
  it('does not let the process end while a statement is in flight', async () => {
    // Longer than a process lives that has nothing to wait for; it cannot be given a clock.
    const server = await startServer(
      obliging(async (text) => {
        if (text === 'slow') await new Promise((resolve) => setTimeout(resolve, 500));
        return undefined;
      }),
    );
    const program = `
      import { Pool } from '${new URL('../src/index.ts', import.meta.url).pathname}';
      const pool = new Pool({ host: '127.0.0.1', port: ${server.port}, user: 'app', ssl: false, allowExitOnIdle: true });
      await pool.query('select 1');
      await new Promise((resolve) => setImmediate(resolve));
      await pool.query('slow');
      console.log('answered');
    `;
    expect(program).toContain('slow');
    const child = spawn(
      process.execPath,
      ['--conditions=@externalname/source', '--import', 'tsx', '--input-type=module', '-e', program],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    let output = '';
    child.stdout.on('data', (chunk) => {
      output += chunk;
    });
    await once(child, 'close');
    expect(output).toContain('answered');
  });
});
