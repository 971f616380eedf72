import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import tls from 'node:tls';
import type { CertificateAuthority } from '@externalname/testing';
import { RedisConnection } from './redis-connection.ts';
import type { Reply } from './resp.ts';

/** A redis-server of this machine, over TLS alone. */
export class RedisServer implements AsyncDisposable {
  readonly hostName: string;
  readonly address: string;
  readonly port: number;
  readonly #child: ChildProcess;
  readonly #folder: string;
  readonly #ca: string;

  private constructor(place: Place, child: ChildProcess, folder: string, ca: string) {
    this.hostName = place.hostName;
    this.address = place.address;
    this.port = place.port;
    this.#child = child;
    this.#folder = folder;
    this.#ca = ca;
  }

  /** Whether this machine has the program. */
  static isInstalled(): boolean {
    return spawnSync('redis-server', ['--version']).status === 0;
  }

  /** Starts one, and waits until it answers. */
  static async start(authority: CertificateAuthority, place: Place): Promise<RedisServer> {
    const { hostName, address, port } = place;
    const { certificate, privateKey } = await authority.issue({ hostNames: [hostName] });
    const folder = await mkdtemp(join(tmpdir(), 'externalname-redis-'));
    const file = async (name: string, text: string) => {
      await writeFile(join(folder, name), text, { mode: 0o600 });
      return join(folder, name);
    };
    const options = {
      bind: address,
      port: '0',
      'tls-port': String(port),
      'tls-cert-file': await file('cert.pem', certificate),
      'tls-key-file': await file('key.pem', privateKey),
      'tls-ca-cert-file': await file('ca.pem', authority.certificate),
      'tls-auth-clients': 'no',
      'tls-replication': 'yes',
      'repl-diskless-sync-delay': '0',
      'replica-announce-ip': address,
      dir: folder,
      save: '',
    };
    const words = Object.entries(options).flatMap(([name, value]) => [`--${name}`, value]);
    const child = spawn('redis-server', words, { stdio: ['ignore', 'ignore', 'inherit'] });
    const server = new RedisServer(place, child, folder, authority.certificate);
    try {
      await server.until(['PING'], (reply) => reply === 'PONG');
      return server;
    } catch (error) {
      await server[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Runs a command on this very server, past the Service. */
  async command(words: readonly string[]): Promise<Reply> {
    const { address: host, port, hostName: servername } = this;
    const socket = tls.connect({ host, port, servername, ca: this.#ca });
    const connection = new RedisConnection(socket, 5_000);
    try {
      await once(socket, 'secureConnect');
      return await connection.send(words);
    } finally {
      connection.destroy();
    }
  }

  /** Waits until a command has a certain answer, for up to ten seconds. */
  async until(words: readonly string[], isIt: (reply: Reply | undefined) => boolean): Promise<void> {
    const deadline = performance.now() + 10_000;
    for (;;) {
      if (isIt(await this.command(words).catch(() => undefined))) return;
      if (this.#child.exitCode !== null) throw new Error(`redis-server for ${this.hostName} has ended`);
      if (performance.now() > deadline)
        throw new Error(`${this.hostName}: ${words.join(' ')} did not come to be as expected`);
      await pause(20);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      this.#child.kill('SIGKILL');
      await once(this.#child, 'exit');
    }
    await rm(this.#folder, { recursive: true, force: true });
  }
}

interface Place {
  readonly hostName: string;
  readonly address: string;
  readonly port: number;
}
