import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { type DrillEvent, drillFinished } from '@externalname/core/events';
import { externalNameService } from '@externalname/core/manifests';
import type { DrillResult } from '@externalname/drill';
import { LocalCluster, PostgresPair } from '@externalname/testing';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { drillCommand } from '../src/commands/drill.ts';
import { commandContext } from './command-context.ts';

/** Short, for tests: all that a drill waits for. */
const short = { ttl: '1', settle: '300ms', decision: '100ms', workers: '6', connections: '4' };

async function drill(
  options: Record<string, string | readonly string[]>,
  how: {
    stdin?: Readable & { isTTY?: boolean };
    signal?: AbortSignal;
    environment?: Record<string, string>;
  } = {},
) {
  const { context, text } = commandContext(drillCommand, { ...short, output: 'json', ...options }, how);
  const code = await drillCommand.run(context);
  const { stdout, stderr } = text();
  return { code, stdout, stderr, result: () => JSON.parse(stdout) as DrillResult };
}

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'externalname-drill-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describe('a drill on this machine', () => {
  it('plays a crash and the way back, and loses nothing', async () => {
    const published: DrillEvent[] = [];
    const unsubscribe = drillFinished.subscribe((event) => published.push(event));
    const { code, result, stderr } = await drill({ report: folder, textfile: join(folder, 'drill.prom') }).finally(
      unsubscribe,
    );
    expect(result()).toMatchObject({
      passed: true,
      kind: 'crash',
      stages: [
        { name: 'crash', to: 'secondary-db.example.com', writes: { lost: 0, duplicated: 0, hung: 0 } },
        { name: 'switch back', to: 'primary-db.example.com', writes: { lost: 0, duplicated: 0, hung: 0, failed: 0 } },
      ],
    });
    expect(code).toBe(0);
    expect(result().marks.map(({ name }) => name)).toEqual(['crash', 'patch', 'fence', 'patch']);
    expect(stderr).toContain('CRASH: kill -9');
    expect((await readdir(folder)).sort()).toEqual(['drill.html', 'drill.json', 'drill.md', 'drill.prom', 'drill.xml']);
    expect(await readFile(join(folder, 'drill.prom'), 'utf8')).toMatch(/\{.*result="passed"\} \d/);
    expect(published).toEqual([{ name: 'webscaler-db', passed: true }]);
  });

  it('plays a planned switch that is pushed by a watch, and fails nothing', async () => {
    const { code, result } = await drill({ kind: 'planned', follow: 'kubernetes' });
    expect(result()).toMatchObject({
      passed: true,
      kind: 'planned',
      ttlSeconds: 0,
      stages: [{ writes: { failed: 0 } }, { writes: { failed: 0 } }],
    });
    expect(code).toBe(0);
  });

  it('fails by a threshold that it is over', async () => {
    const { code, stdout } = await drill({ kind: 'planned', maxFirstWrite: '1ms', output: 'junit' });
    expect(code).toBe(1);
    expect(stdout).toContain('<failure message=');
  });

  it('leaves nothing behind after Ctrl-C', async () => {
    const interruption = new AbortController();
    const pair = watchedPair();
    try {
      const running = drill({}, { signal: interruption.signal });
      setTimeout(async () => {
        await pair.started;
        interruption.abort(new Error('interrupted'));
      }, 2_000);
      await expect(running).rejects.toThrow('interrupted');
      const { servers } = await pair.started;
      expect(servers.map((server) => server.isRunning())).toEqual([false, false]);
      expect(servers.map(({ dataFolder }) => existsSync(dataFolder))).toEqual([false, false]);
    } finally {
      pair.restore();
    }
  });
});

describe('a drill with a canary Service', () => {
  let pair: PostgresPair;
  let cluster: LocalCluster;
  let environment: Record<string, string>;
  let certificates: string;
  const target = async (name: string) => {
    const service = await cluster.services.get('drill', name);
    return (service?.['spec'] as { externalName?: string } | undefined)?.externalName;
  };

  beforeAll(async () => {
    pair = await PostgresPair.start();
    cluster = await LocalCluster.start({
      ttlSeconds: 1,
      services: ['canary-db', 'other-db'].map((name) =>
        externalNameService({ name, namespace: 'drill', externalName: pair.primary.hostName }),
      ),
      hosts: pair.hosts,
    });
    certificates = await mkdtemp(join(tmpdir(), 'externalname-drill-'));
    const ca = join(certificates, 'ca.pem');
    await writeFile(ca, pair.ca);
    environment = {
      KUBECONFIG: await cluster.writeKubeconfig(),
      PGUSER: pair.user,
      PGPASSWORD: pair.password,
      PGDATABASE: pair.database,
      PGPORT: String(pair.port),
      PGSSLROOTCERT: ca,
      EXTERNALNAME_ALLOWED_TARGETS: 'primary-db.example.com,secondary-db.example.com',
    };
  });
  afterAll(async () => {
    await cluster?.close();
    await pair?.close();
    await rm(certificates, { recursive: true, force: true });
  });

  const canary = () => ({
    service: 'canary-db',
    namespace: 'drill',
    to: 'secondary-db.example.com',
    nameserver: [cluster.nameserver],
    allowedNetworks: '127.0.0.0/8',
  });

  it('does not begin where the Service is not confirmed, and touches nothing', async () => {
    const pipe = Readable.from([]);
    await expect(drill(canary(), { environment, stdin: pipe })).rejects.toMatchObject({ argument: '--confirm' });
    await expect(drill({ ...canary(), confirm: 'drill/other-db' }, { environment })).rejects.toMatchObject({
      argument: '--confirm',
    });
    const typed = Object.assign(Readable.from(['canary-db\n']), { isTTY: true });
    expect((await drill(canary(), { environment, stdin: typed })).code).toBe(3);
    expect(await target('canary-db')).toBe('primary-db.example.com');
    expect(await tables()).toEqual([]);
  });

  it('switches it and back, leaves the others alone, and removes its table', async () => {
    // The command of a real drill calls the tool that promotes. This one asks the test to, by a file, and waits until that is gone.
    const asked = join(folder, 'promote');
    const command = `echo "$EXTERNALNAME_TO" > ${asked}; while [ -e ${asked} ]; do sleep 0.05; done`;
    const promoted: string[] = [];
    const promoting = setInterval(async () => {
      if (!existsSync(asked) || promoted.length > 2) return;
      const host = (await readFile(asked, 'utf8')).trim();
      if (host === '' || promoted.at(-1) === host) return;
      promoted.push(host);
      await pair.switchover();
      await rm(asked);
    }, 20);
    const { code, result, stderr } = await drill(
      { ...canary(), confirm: 'drill/canary-db', kind: 'planned', promoteCommand: command, maxFailed: '50' },
      { environment },
    ).finally(() => clearInterval(promoting));
    expect(result().checks.filter(({ passed }) => !passed)).toEqual([]);
    expect(result()).toMatchObject({
      service: 'drill/canary-db',
      stages: [
        { to: 'secondary-db.example.com', writes: { lost: 0, duplicated: 0, hung: 0 } },
        { to: 'primary-db.example.com', writes: { lost: 0, duplicated: 0, hung: 0 } },
      ],
    });
    expect(code).toBe(0);
    expect(promoted).toEqual(['secondary-db.example.com', 'primary-db.example.com']);
    expect(stderr).toContain('PLANNED SWITCH');
    expect([await target('canary-db'), await target('other-db')]).toEqual([
      'primary-db.example.com',
      'primary-db.example.com',
    ]);
    expect(await tables()).toEqual([]);
  });

  it('points the Service back after Ctrl-C, and removes its table', async () => {
    const interruption = new AbortController();
    // Nothing is promoted: after the switch, which is forced, the workers wait.
    const looking = setInterval(async () => {
      if ((await target('canary-db')) !== 'secondary-db.example.com') return;
      clearInterval(looking);
      interruption.abort(new Error('interrupted'));
    }, 20);
    const running = drill(
      { ...canary(), confirm: 'drill/canary-db', kind: 'planned', accept: ['not-writable', 'split-brain', 'lag'] },
      { environment, signal: interruption.signal },
    );
    await expect(running).rejects.toThrow('interrupted');
    expect(await target('canary-db')).toBe('primary-db.example.com');
    expect(await tables()).toEqual([]);
  });

  it('puts the Service back if it cannot be played to its end', async () => {
    const { code, stderr } = await drill(
      { ...canary(), confirm: 'drill/canary-db', kind: 'planned', waitForPromotion: '500ms' },
      { environment },
    );
    expect(code).toBe(5);
    expect(stderr).toContain('could not be played to its end');
    expect(stderr).toContain('not-writable');
    expect(await target('canary-db')).toBe('primary-db.example.com');
    expect(await tables()).toEqual([]);
  });

  async function tables(): Promise<readonly unknown[]> {
    return pair.primary.query("select tablename from pg_tables where tablename like 'externalname_drill%'", [], {
      database: pair.database,
    });
  }
});

/** The pair that a drill starts. */
function watchedPair(): { readonly started: Promise<PostgresPair>; restore(): void } {
  const start = PostgresPair.start;
  const started = new Promise<PostgresPair>((resolve, reject) => {
    PostgresPair.start = async (...args) => {
      const pair = start.apply(PostgresPair, args);
      pair.then(resolve, reject);
      return pair;
    };
  });
  return {
    started,
    restore: () => {
      PostgresPair.start = start;
    },
  };
}
