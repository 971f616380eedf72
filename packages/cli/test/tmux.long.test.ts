import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { externalNameService } from '@externalname/core/manifests';
import { switchTarget } from '@externalname/kubernetes';
import { LocalCluster } from '@externalname/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TmuxTerminal, tmux } from './tmux.ts';

// The real program in a real terminal. `vitest -u` writes the screens again, and docs/guides/cli.md shows them.
const bin = fileURLToPath(new URL('../bin/externalname.mjs', import.meta.url));
const missing = tmux === undefined ? ' (skipped: no tmux here)' : '';
let cluster: LocalCluster;
let kubeconfig: string;

beforeAll(async () => {
  cluster = await LocalCluster.start({
    services: [
      externalNameService({ name: 'webscaler-db', namespace: 'default', externalName: 'primary-db.example.com' }),
    ],
    hosts: { 'primary-db.example.com': ['127.0.0.11'], 'secondary-db.example.com': ['127.0.0.12'] },
  });
  kubeconfig = await cluster.writeKubeconfig();
});
afterAll(() => cluster?.close());

const inTerminal = (columns: number, ...args: readonly string[]) =>
  TmuxTerminal.run([process.execPath, bin, ...args], {
    columns,
    rows: 24,
    environment: { KUBECONFIG: kubeconfig, NO_COLOR: '1' },
  });

/** The screen, as soon as it has something. */
async function shownIn(terminal: TmuxTerminal, wanted: RegExp): Promise<string> {
  let screen = '';
  await expect
    .poll(
      async () => {
        screen = await terminal.screen();
        return screen;
      },
      { timeout: 60_000, interval: 200 },
    )
    .toMatch(wanted);
  return screen;
}

describe.skipIf(tmux === undefined)(`in a terminal of tmux${missing}`, () => {
  it('history shows who switched a Service', async () => {
    const to = 'secondary-db.example.com';
    const allowedTargets = ['primary-db.example.com', to];
    const options = { service: 'webscaler-db', kubeConfig: kubeconfig, allowedTargets, dnsServers: false } as const;
    await switchTarget({ ...options, to, by: 'alice', reason: 'primary is down' });
    await switchTarget({ ...options, to: 'primary-db.example.com', by: 'bob', reason: 'it is repaired' });
    await using terminal = await inTerminal(80, 'history', 'webscaler-db');
    const screen = await shownIn(terminal, /\[exit status 0\]/);
    await expect(screen.replaceAll(/\d{4}-\d\d-\d\dT[\d:]{8}Z/g, '2026-11-29T11:20:00Z')).toMatchFileSnapshot(
      '../src/screens/history-tmux-80.txt',
    );
  });

  it('dev runs until Ctrl-C, and leaves nothing behind', async () => {
    await using terminal = await inTerminal(110, 'dev', '--dns-address', '127.0.0.1', '--dns-port', '0');
    const running = await shownIn(terminal, /dig @/);
    await terminal.press('C-c');
    const ended = await shownIn(terminal, /\[exit status 0\]/);
    const [, folder = ''] = /kubeconfig +(\S+)\/kubeconfig/.exec(running) ?? [];
    expect(existsSync(folder)).toBe(false);
    const steady = ended
      .replaceAll(/127\.0\.0\.1:\d+/g, '127.0.0.1:40053')
      .replace('https://127.0.0.1:40053', 'https://127.0.0.1:40443')
      .replaceAll(/-p \d+/g, '-p 40053')
      .replaceAll(/externalname-cluster-[0-9a-f]+/g, 'externalname-cluster-4f1c');
    await expect(steady).toMatchFileSnapshot('../src/screens/dev-tmux-110.txt');
  });

  it('watch keeps its rows below, and takes them away after Ctrl-C', async () => {
    await using terminal = await inTerminal(100, 'watch', 'webscaler-db', '-s', cluster.nameserver);
    await shownIn(terminal, /^kubernetes .* for \d+ s\ndns .* TTL \d+ s, \d+ ms$/m);
    await terminal.press('C-c');
    expect(await shownIn(terminal, /\[exit status 130\]/)).not.toContain('TTL ');
  });
});
