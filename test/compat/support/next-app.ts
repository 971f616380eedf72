import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import net from 'node:net';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Webscaler } from './webscaler.ts';

const recipe = resolve(import.meta.dirname, '../next');
const packages = resolve(import.meta.dirname, '../../../packages');
const parts = ['app', 'lib', 'instrumentation.ts', 'next.config.mjs', 'tsconfig.json', 'package.json'];

/** Why the recipe cannot run here, in a line. */
export function missingForNext(): string | undefined {
  if (!existsSync(join(recipe, 'node_modules/next')))
    return 'Next.js is not installed here: pnpm test:next installs it';
  if (!existsSync(join(packages, 'pg/dist/index.js'))) return 'the packages are not built: pnpm test:next builds them';
  return undefined;
}

/** A copy of the recipe, with the built packages beside it as npm would put them. */
export class NextApp implements AsyncDisposable {
  readonly folder: string;
  #server: ChildProcess | undefined;
  #output = '';

  private constructor(folder: string) {
    this.folder = folder;
  }

  /** Copies it. Beside the recipe, where what it imports is found. */
  static async create(): Promise<NextApp> {
    const folder = await mkdtemp(join(recipe, '.run-'));
    for (const part of parts) await cp(join(recipe, part), join(folder, part), { recursive: true });
    for (const name of ['core', 'pg']) await installPackage(name, join(folder, 'node_modules/@externalname', name));
    return new NextApp(folder);
  }

  /** Runs `next build`, with nothing of the Deployment in its environment. */
  async build(): Promise<void> {
    const child = this.#spawn(['build'], {});
    const [code] = (await once(child, 'exit')) as [number | null];
    if (code !== 0) throw new Error(`next build has failed:\n${this.#output}`);
  }

  /** Runs `next dev` or `next start`, as a Deployment would for this cluster. Resolves with the URL when it answers. */
  async serve(command: 'dev' | 'start', webscaler: Webscaler): Promise<string> {
    const { pair, cluster } = webscaler;
    const authority = join(this.folder, 'ca.pem');
    await writeFile(authority, pair.ca);
    const port = await freePort();
    this.#server = this.#spawn([command, '--hostname', '127.0.0.1', '--port', String(port)], {
      PGHOST: 'webscaler-db',
      PGPORT: String(pair.port),
      PGUSER: pair.user,
      PGPASSWORD: pair.password,
      PGDATABASE: pair.database,
      PGSSLROOTCERT: authority,
      EXTERNALNAME_ALLOWED_TARGETS: pair.servers.map(({ hostName }) => hostName).join(','),
      LOCAL_CLUSTER: JSON.stringify({
        dns: { nameservers: [cluster.nameserver] },
        allowedNetworks: ['127.0.0.0/8'],
        drainTimeoutMillis: 10_000,
      }),
    });
    const url = `http://127.0.0.1:${port}`;
    const deadline = performance.now() + 60_000;
    while (!(await answers(`${url}/healthz`))) {
      if (this.#server.exitCode !== null || performance.now() > deadline) {
        throw new Error(`next ${command} does not answer:\n${this.#output}`);
      }
      await sleep(200);
    }
    return url;
  }

  /** Changes a file as an editor would. */
  async edit(file: string, change: (text: string) => string): Promise<void> {
    const path = join(this.folder, file);
    await writeFile(path, change(await readFile(path, 'utf8')));
  }

  /** Sends SIGTERM to the server, and waits until it has ended. */
  async end(): Promise<void> {
    const server = this.#server;
    if (server?.pid === undefined || server.exitCode !== null || server.signalCode !== null) return;
    const ended = once(server, 'exit', { signal: AbortSignal.timeout(20_000) });
    server.kill('SIGTERM');
    await ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end().catch(() => undefined);
    // Its children, too: it is the leader of their group.
    try {
      if (this.#server?.pid !== undefined) process.kill(-this.#server.pid, 'SIGKILL');
    } catch {
      // All of them have ended.
    }
    await rm(this.folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }

  #spawn(words: readonly string[], env: Readonly<Record<string, string>>): ChildProcess {
    const next = join(recipe, 'node_modules/next/dist/bin/next');
    const child = spawn(process.execPath, [next, ...words], {
      cwd: this.folder,
      env: { PATH: process.env['PATH'], HOME: process.env['HOME'], NEXT_TELEMETRY_DISABLED: '1', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk) => {
        this.#output = `${this.#output}${String(chunk)}`.slice(-10_000);
      });
    }
    return child;
  }
}

/**
 * Puts a package where npm would, as it is published. Its pool also takes what a pod has no need for: the DNS of this cluster, which no
 * /etc/resolv.conf names, and loopback addresses.
 */
async function installPackage(name: string, folder: string): Promise<void> {
  const source = join(packages, name);
  await mkdir(folder, { recursive: true });
  await cp(join(source, 'dist'), join(folder, 'dist'), { recursive: true });
  const { publishConfig, ...manifest } = JSON.parse(readFileSync(join(source, 'package.json'), 'utf8'));
  const { exports } = publishConfig;
  const here = name === 'pg' ? { ...exports, '.': { types: './dist/index.d.ts', default: './here.js' } } : exports;
  await writeFile(join(folder, 'package.json'), JSON.stringify({ ...manifest, exports: here }));
  if (name === 'pg') await writeFile(join(folder, 'here.js'), poolOfThisMachine);
}

const poolOfThisMachine = `export * from './dist/index.js';
import { Pool as Published } from './dist/index.js';

export class Pool extends Published {
  constructor(options) {
    super({ ...JSON.parse(process.env.LOCAL_CLUSTER), ...options });
  }
}
`;

async function answers(url: string): Promise<boolean> {
  return await fetch(url, { signal: AbortSignal.timeout(20_000) }).then(
    ({ ok }) => ok,
    () => false,
  );
}

async function freePort(): Promise<number> {
  const probe = net.createServer();
  await once(probe.listen(0, '127.0.0.1'), 'listening');
  const bound = probe.address();
  probe.close();
  await once(probe, 'close');
  if (typeof bound !== 'object' || bound === null) throw new Error('a server without a port');
  return bound.port;
}
