import { describe, expect, it } from 'vitest';
import { DemoProcess, knock, survivors } from './demo-process.ts';

describe.concurrent('Ctrl-C', () => {
  it.each([
    { moment: 'while the servers start', words: [], when: /starting two PostgreSQL servers/, serversAreUp: false },
    { moment: 'while the primary is dead', words: ['--json'], when: /is dead/, serversAreUp: true },
    { moment: 'while a server is rebuilt', words: ['--plain-pg'], when: /REBUILD/, serversAreUp: true },
  ])('$moment leaves no process, folder or port behind', async ({ words, when, serversAreUp }) => {
    await using demo = await DemoProcess.start(words);
    await demo.says(when);
    const processes = await demo.processes();
    // A server or a worker at least, besides the demo's own.
    expect(processes.length).toBeGreaterThan(1);
    demo.interrupt();
    expect(await demo.ended).toEqual({ code: 130, signal: null });
    await expectNothingLeft(demo, processes, serversAreUp ? 2 : 0);
    expect(demo.stdout).not.toContain('"held"');
    // The last words, which nothing follows: no status, and no event of what is taken down.
    expect(words.includes('--json') ? demo.stderr : demo.stdout).toMatch(
      /interrupted: servers and workers are taken down\nAll of it is gone: servers, workers, folders\.\n$/,
    );
    if (words.includes('--plain-pg')) expect(demo.stdout).toContain('ERR_TLS_CERT_ALTNAME_INVALID');
  });
});

describe.concurrent('Ctrl-C through a package manager, which sends SIGTERM beside it', () => {
  it('counts as Ctrl-C in the exit status, even if SIGTERM arrives first', async () => {
    await using demo = await DemoProcess.start([]);
    await demo.says(/every worker writes to primary-db/);
    demo.send('SIGTERM');
    await demo.says(/interrupted/);
    demo.interrupt();
    expect(await demo.ended).toEqual({ code: 130, signal: null });
  });
});

describe.concurrent('kill -9 of the demo', () => {
  it('leaves no process, folder or port behind', async () => {
    await using demo = await DemoProcess.start([]);
    await demo.says(/every worker writes to primary-db/);
    const processes = await demo.processes();
    demo.kill();
    expect(await demo.ended).toEqual({ code: null, signal: 'SIGKILL' });
    await expectNothingLeft(demo, processes, 2);
  });
});

async function expectNothingLeft(demo: DemoProcess, processes: readonly number[], servers: number): Promise<void> {
  expect(await survivors(processes)).toEqual([]);
  expect(await demo.folders()).toEqual([]);
  const ports = [...`${demo.stdout}${demo.stderr}`.matchAll(/(?:primary|standby): \S+, (\S+) port (\d+)/g)];
  expect(ports).toHaveLength(servers);
  for (const [, address = '', port] of ports) expect(await knock(address, Number(port))).toBe('ECONNREFUSED');
}
