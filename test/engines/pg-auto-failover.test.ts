import { chown, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type EngineState, pgAutoFailoverEngine } from '@externalname/engines';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { account, endAllOf, missing, Program, pgAutoFailover, until } from './support/programs.ts';

const skipped = missing(['pg_auto_failover', pgAutoFailover]);
const ports = { monitor: 25_999, a: 26_001, b: 26_002 } as const;

describe.skipIf(skipped !== undefined)('pg_auto_failover, its monitor and two nodes', () => {
  let folder: string;
  const programs = new Map<keyof typeof ports, Program>();

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'externalname-pgaf-'));
    for (const place of ['', 'config', 'data', 'run']) {
      await mkdir(join(folder, place), { recursive: true });
      if (account.uid !== undefined) await chown(join(folder, place), account.uid, account.gid);
    }
    const common = ['--hostname', '127.0.0.1', '--auth', 'trust', '--no-ssl', '--run'];
    start('monitor', ['create', 'monitor', ...placeOf('monitor'), ...common]);
    await until('the monitor', async () => (await nodes()).length === 0);
    const monitor = [
      '--monitor',
      `postgres://autoctl_node@127.0.0.1:${ports.monitor}/pg_auto_failover?sslmode=disable`,
    ];
    for (const name of ['a', 'b'] as const) {
      start(name, ['create', 'postgres', ...placeOf(name), '--name', name, ...monitor, ...common]);
      const state = name === 'a' ? 'single' : 'secondary';
      await until(
        `${name} to be ${state}`,
        async () => (await nodes()).some((node) => node.name === name && node.reported === state),
        90_000,
      );
    }
    await until(
      'a to be the primary',
      async () => (await nodes()).some((node) => node.name === 'a' && node.reported === 'primary'),
      60_000,
    );
  }, 240_000);

  afterAll(async () => {
    for (const program of programs.values()) await program.kill();
    await endAllOf(folder);
    await rm(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
  });

  it('names the primary, tells of a planned switch, and names the next one, also after a crash', {
    timeout: 180_000,
  }, async () => {
    await using engine = pgAutoFailoverEngine({ monitor: client });
    const told: EngineState[] = [];
    engine.subscribe((state) => told.push(state));
    await until('the primary', () => told.length > 0);
    expect(told[0]).toMatchObject({
      state: 'leader',
      member: 'a',
      timeline: 1,
      systemIdentifier: expect.stringMatching(/^\d+$/),
    });
    expect(told[0]).toMatchObject({ since: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/) });

    await query("select pgautofailover.perform_failover('default', 0)");
    await until('the next primary', () => isLeader(told.at(-1), 'b'), 90_000);
    const between = told.slice(1, -1);
    expect(between.length).toBeGreaterThan(0);
    expect(between.every(({ state }) => state !== 'leader')).toBe(true);
    expect(between[0]).toMatchObject({ state: 'releasing', member: 'a' });
    // Both must have said so to the monitor: it does not fail over from a node that has not become the primary yet.
    await until(
      'the old primary to follow',
      async () => {
        const reported = Object.fromEntries((await nodes()).map((node) => [node.name, node.reported]));
        return reported['a'] === 'secondary' && reported['b'] === 'primary';
      },
      90_000,
    );

    const timeline = Math.max(...(await nodes()).map((node) => node.timeline));
    await kill('b');
    await until('the primary after the crash', () => isLeader(told.at(-1), 'a'), 120_000);
    await until('its timeline', async () => {
      const state = await engine.read();
      return state.state === 'leader' && (state.timeline ?? 0) > timeline;
    });
  });

  function start(name: keyof typeof ports, args: readonly string[]): void {
    const root = pgAutoFailover ?? '';
    const environment = {
      PATH: [join(root, 'usr/lib/postgresql/15/bin'), join(root, 'usr/bin'), '/usr/bin', '/bin'].join(':'),
      HOME: folder,
      XDG_CONFIG_HOME: join(folder, 'config'),
      XDG_DATA_HOME: join(folder, 'data'),
      XDG_RUNTIME_DIR: join(folder, 'run'),
      PG_REGRESS_SOCK_DIR: folder,
      // For the connections that name no host; Debian's libpq looks in a folder that the account may not write to.
      PGHOST: folder,
    };
    programs.set(name, new Program(join(root, 'usr/bin/pg_autoctl'), args, environment, folder));
  }

  function placeOf(name: keyof typeof ports): string[] {
    return ['--pgdata', join(folder, name), '--pgport', String(ports[name])];
  }

  async function kill(name: keyof typeof ports): Promise<void> {
    const pid = await readFile(join(folder, name, 'postmaster.pid'), 'utf8')
      .then((text) => Number(text.split('\n')[0]))
      .catch(() => 0);
    await programs.get(name)?.kill();
    try {
      if (pid > 1) process.kill(pid, 'SIGKILL');
    } catch {
      // It went with its supervisor.
    }
  }

  function client(): Client {
    return new Client({ host: '127.0.0.1', port: ports.monitor, user: 'autoctl_node', database: 'pg_auto_failover' });
  }

  async function query(text: string): Promise<Record<string, unknown>[]> {
    const session = client();
    session.on('error', () => undefined);
    await session.connect();
    try {
      return (await session.query<Record<string, unknown>>(text)).rows;
    } finally {
      await session.end();
    }
  }

  async function nodes(): Promise<{ name: string; reported: string; timeline: number }[]> {
    const rows = await query(
      'select nodename as name, reportedstate::text as reported, reportedtli as timeline from pgautofailover.node',
    );
    return rows.map((row) => ({
      name: String(row['name']),
      reported: String(row['reported']),
      timeline: Number(row['timeline']),
    }));
  }

  function isLeader(state: EngineState | undefined, member: string): boolean {
    return state?.state === 'leader' && state.member === member;
  }
});
