import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ask } from './dns-query.ts';
import { freePort, ServerProcess } from './server-process.ts';

/** See {@link CoreDns.start}. */
export interface CoreDnsOptions {
  /** Path of the kubeconfig that it watches the cluster with. */
  kubeconfig: string;
  /** `cluster.local.` */
  zone: string;
  ttl: number;
  /** `127.0.0.1:5353`: whom to ask for names outside the cluster. */
  upstream: string;
  /** Lines inside the `kubernetes` block. */
  settings?: readonly string[];
  /** More zones of the `kubernetes` plugin. */
  zones?: readonly string[];
  /** Lines of more plugins. */
  plugins?: readonly string[];
  /** Where it listens. @defaultValue a free port of 127.0.0.1 */
  address?: string;
  port?: number;
}

/** CoreDNS as a plain process, watching a Kubernetes API. */
export class CoreDns {
  readonly server: string;
  readonly #folder: string;
  readonly #process: ServerProcess;

  private constructor(server: string, folder: string, process: ServerProcess) {
    this.server = server;
    this.#folder = folder;
    this.#process = process;
  }

  static async start(assets: string, options: CoreDnsOptions): Promise<CoreDns> {
    const folder = await mkdtemp(join(tmpdir(), 'externalname-coredns-'));
    const { address = '127.0.0.1', port = await freePort() } = options;
    const readyPort = await freePort();
    const corefile = join(folder, 'Corefile');
    await writeFile(corefile, corefileText(options, { address, port, readyPort }));
    const process = new ServerProcess(join(assets, 'coredns'), ['-conf', corefile]);
    try {
      // An unready server answers SERVFAIL; whether it answers at all is all that can be asked for in every case.
      const probe = `probe-${randomBytes(4).toString('hex')}.${options.zone}`;
      await process.waitUntil(
        'CoreDNS',
        async () => (await ask(`${address}:${port}`, probe, 'A')) !== undefined,
        60_000,
      );
      return new CoreDns(`${address}:${port}`, folder, process);
    } catch (error) {
      await process.kill();
      await rm(folder, { recursive: true, force: true });
      throw error;
    }
  }

  async stop(): Promise<void> {
    await this.#process.kill();
    await rm(this.#folder, { recursive: true, force: true });
  }
}

function corefileText(
  options: CoreDnsOptions,
  { address, port, readyPort }: { readonly address: string; readonly port: number; readonly readyPort: number },
): string {
  const { zone, ttl, kubeconfig, upstream, settings = [], zones = [], plugins = [] } = options;
  return [
    `.:${port} {`,
    `  bind ${address}`,
    '  errors',
    `  ready 127.0.0.1:${readyPort}`,
    ...plugins.map((line) => `  ${line}`),
    `  kubernetes ${[zone, ...zones].join(' ')} in-addr.arpa ip6.arpa {`,
    `    kubeconfig ${kubeconfig}`,
    `    ttl ${ttl}`,
    ...settings.map((line) => `    ${line}`),
    '  }',
    `  forward . ${upstream}`,
    '}',
    '',
  ].join('\n');
}
