import { Resolver } from 'node:dns/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DemoProcess, type Ending, knock, survivors } from './demo-process.ts';

const serviceName = 'webscaler-db.default.svc.cluster.local';

/** One run of the demo that all of these tests share, and what was seen of it from outside while it ran. */
let demo: DemoProcess;
let ending: Ending;
const seen = {
  canonicalNames: [] as string[],
  /** What a connection to the primary got when the demo said that it was dead. */
  knock: '',
  primaryProcesses: [] as readonly number[],
  secondary: '',
  standbyPort: '',
};

beforeAll(async () => {
  demo = await DemoProcess.start(['--json']);
  const [, address = '', port = '', pid = ''] = await demo.says(
    /primary: primary-db\.example\.com, (\S+) port (\d+), process (\d+)/,
  );
  const [, nameserver = ''] = await demo.says(/cluster +DNS at (\S+):? /);
  const dns = new Resolver();
  dns.setServers([nameserver.replace(/:$/, '')]);
  await demo.says(/every worker writes to primary-db/);
  seen.canonicalNames.push(...(await dns.resolveCname(serviceName)));
  await demo.says(/is dead/);
  seen.knock = await knock(address, Number(port));
  seen.primaryProcesses = await survivors([Number(pid)]);
  await demo.says(/recovered: every worker writes to secondary-db/);
  seen.canonicalNames.push(...(await dns.resolveCname(serviceName)));
  await demo.says(/done: every worker writes to primary-db/);
  seen.canonicalNames.push(...(await dns.resolveCname(serviceName)));
  ending = await demo.ended;
}, 120_000);

afterAll(async () => {
  await demo?.[Symbol.asyncDispose]();
});

describe('the demo', () => {
  it('refuses an option that it does not know, with exit status 2, before anything is started', async () => {
    await using refused = await DemoProcess.start(['--jsno']);
    expect(await refused.ended).toMatchObject({ code: 2 });
    expect(refused.stderr).toMatch(/^demo: unknown option --jsno\n/);
    expect(refused.stdout).toBe('');
  });

  it('ends with exit status 0, because the verdict held', () => {
    expect(ending).toEqual({ code: 0, signal: null });
  });

  it('prints one line on stdout with --json: the documented object', () => {
    const lines = demo.stdout.trimEnd().split('\n');
    expect(lines).toHaveLength(1);
    const stage = {
      held: true,
      writes: {
        acknowledged: expect.any(Number),
        lost: 0,
        duplicated: 0,
        hung: 0,
        failed: expect.any(Number),
      },
      patchToFirstWriteMillis: expect.any(Number),
      patchToAllWorkersMillis: expect.any(Number),
      outageMillis: expect.any(Number),
    };
    expect(JSON.parse(lines[0] ?? '')).toEqual({
      ...stage,
      planned: { ...stage, writes: { ...stage.writes, failed: 0 } },
    });
  });

  it('has the workers write before, between and after', () => {
    const { writes, planned } = JSON.parse(demo.stdout);
    expect(writes.acknowledged).toBeGreaterThan(100);
    expect(planned.writes.acknowledged).toBeGreaterThan(100);
    // No more than what was in flight: one statement a connection.
    expect(writes.failed).toBeLessThanOrEqual(10);
  });

  it('kills the primary for good: nothing listens on its port, and its process is gone', () => {
    expect(seen.knock).toBe('ECONNREFUSED');
    expect(seen.primaryProcesses).toEqual([]);
  });

  it('switches in DNS only, by the patch of the Service', () => {
    expect(seen.canonicalNames).toEqual([
      'primary-db.example.com',
      'secondary-db.example.com',
      'primary-db.example.com',
    ]);
    expect(demo.stderr.match(/PATCH: kubectl patch service webscaler-db .*/g)).toEqual(
      ['secondary-db', 'primary-db'].map(
        (name) =>
          `PATCH: kubectl patch service webscaler-db --type='json' -p='[{"op": "replace", "path": "/spec/externalName", "value": "${name}.example.com"}]'`,
      ),
    );
  });

  it('tells its timeline on stderr in plain lines, step by step', () => {
    const steps = ['starting two', '20 workers', 'CRASH', 'is dead', 'pg_promote()', 'PATCH', 'recovered', 'REBUILD'];
    const later = ['is in step', 'PLANNED SWITCH BACK', 'pg_promote()', 'PATCH', 'done', 'rows are counted'];
    let from = 0;
    for (const step of [...steps, ...later]) {
      const at = demo.stderr.indexOf(step, from);
      expect(at, step).toBeGreaterThanOrEqual(from);
      from = at;
    }
    expect(demo.stderr).toMatch(/^ +\d+\.\d\d s {2}@externalname\/pg +0 failed +\d+ waiting +\d+\/s to primary-db$/m);
    expect(demo.stderr).not.toContain('\u001b');
  });

  it('tells it in the order in which it happened', () => {
    const times = [...demo.stderr.matchAll(/^ *(\d+\.\d\d) s {2}\S/gm)].map(([, seconds]) => Number(seconds));
    expect(times.length).toBeGreaterThan(25);
    expect(times).toEqual([...times].sort((a, b) => a - b));
  });

  it('ends with a plot of writes per second by server, the verdict, and what to do next', () => {
    const plot = demo.stderr.slice(demo.stderr.indexOf('Writes a second, by server'));
    // Both servers have written, one after the other and the first one again.
    const [, primary = '', secondary = ''] =
      /^ {2}primary-db (.*)^ {2}secondary-db (.*)^ {2}failed /ms.exec(plot) ?? [];
    // How wide each part is, is a matter of how long the others took.
    expect(primary).toMatch(/│.*[▁-█] {3,}.*[▁-█]/);
    expect(secondary).toMatch(/│ {3,}.*[▁-█]/);
    expect(plot).toMatch(/ 1 crash .* 2 patch .* 3 switch back .* 4 patch /);
    expect(plot).toMatch(
      /^The verdict holds: nothing lost, nothing done twice, nothing hung\.\n\nToday .*\nNext .*\n$/m,
    );
  });

  it('leaves no session on the server that was left', () => {
    expect(demo.stderr).toMatch(/@externalname\/pg +0 sessions on secondary-db\.example\.com/);
  });

  it('leaves no folder behind', async () => {
    expect(await demo.folders()).toEqual([]);
  });
});
