import { randomInt } from 'node:crypto';
import { chown, copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { account, etcdBinary, Program, patroniPackages, postgresPrograms, python, until } from './programs.ts';

/** A member of Patroni. */
export interface PatroniNode {
  readonly name: 'a' | 'b';
  readonly address: string;
  readonly rest: string;
}

/** Where Patroni keeps its lock. */
export type Store =
  | { readonly kind: 'etcd' }
  | { readonly kind: 'kubernetes'; readonly kubeconfig: string; readonly context: string; readonly namespace: string };

/**
 * Two members of Patroni with synchronous replication, on loopback addresses of their own, with the same port. Times are the shortest that Patroni takes;
 * it raises a `ttl` below 20.
 */
export class PatroniCluster {
  readonly port = 15_432;
  readonly etcd: string;
  readonly nodes: Readonly<Record<'a' | 'b', PatroniNode>>;
  readonly #folder: string;
  readonly #store: Store;
  readonly #programs = new Map<string, Program>();

  private constructor(folder: string, store: Store) {
    const net = `127.${randomInt(80, 100)}.${randomInt(1, 250)}`;
    const node = (name: 'a' | 'b', last: number): PatroniNode => ({
      name,
      address: `${net}.${last}`,
      rest: `http://${net}.${last}:18008`,
    });
    this.nodes = { a: node('a', 1), b: node('b', 2) };
    this.etcd = `http://${net}.9:12379`;
    this.#folder = folder;
    this.#store = store;
  }

  /** Resolves when `a` leads and `b` is its synchronous standby. */
  static async start(store: Store = { kind: 'etcd' }): Promise<PatroniCluster> {
    const folder = await mkdtemp(join(tmpdir(), 'externalname-patroni-'));
    const cluster = new PatroniCluster(folder, store);
    try {
      await cluster.#own(folder);
      if (store.kind === 'etcd') await cluster.#startEtcd();
      for (const name of ['a', 'b'] as const) {
        await cluster.#configure(name);
        cluster.startMember(name);
        await until(`Patroni ${name}`, () => cluster.is(name, name === 'a' ? 'primary' : 'sync'), 90_000);
      }
      return cluster;
    } catch (error) {
      const logs = [...cluster.#programs].map(([name, { log }]) => `${name}:\n${log.slice(-2_000)}`).join('\n');
      await cluster.stop();
      throw new Error(`Patroni did not start\n${logs}`, { cause: error });
    }
  }

  startMember(name: 'a' | 'b'): void {
    const environment = {
      PYTHONPATH: patroniPackages,
      HOME: this.#folder,
      ...(this.#store.kind === 'kubernetes' && { KUBECONFIG: join(this.#folder, 'kubeconfig') }),
    };
    const program = new Program(
      python,
      ['-m', 'patroni', join(this.#folder, `${name}.yml`)],
      environment,
      this.#folder,
    );
    this.#programs.set(name, program);
  }

  /** Whether the member's REST interface answers 200 at that path: `primary`, `sync`, `replica`. */
  async is(name: 'a' | 'b', role: string): Promise<boolean> {
    const response = await fetch(`${this.nodes[name].rest}/${role}`, { signal: AbortSignal.timeout(2_000) });
    const { state, role: told } = (await response.json()) as { state?: string; role?: string };
    return response.status === 200 && state === 'running' && (role !== 'primary' || told === 'primary');
  }

  /** Asks Patroni for a planned switch; resolves when it is over. */
  async switchover(to: 'a' | 'b'): Promise<void> {
    const leader = to === 'a' ? 'b' : 'a';
    const response = await this.#send(leader, 'POST', 'switchover', { leader, candidate: to });
    if (response.status !== 200) throw new Error(`switchover to ${to}: ${response.status} ${await response.text()}`);
  }

  async pause(isPaused: boolean): Promise<void> {
    await this.#send('a', 'PATCH', 'config', { pause: isPaused ? true : null });
    await until('the pause', async () => {
      const states = await Promise.all((['a', 'b'] as const).map((name) => this.says(name)));
      return states.every(({ pause = false }) => pause === isPaused);
    });
  }

  /** Ends a member and its server at once, as a machine that loses power. */
  async kill(name: 'a' | 'b'): Promise<void> {
    const pid = await readFile(join(this.#folder, `data-${name}`, 'postmaster.pid'), 'utf8').then((text) =>
      Number(text.split('\n')[0]),
    );
    // The server first: Patroni would stop it in order.
    this.#programs.get(name)?.signal('SIGSTOP');
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // Its process is gone.
    }
    await this.#programs.get(name)?.kill();
  }

  /** Stops a program where it is, or lets it go on: it holds its connections, and answers nothing. */
  freeze(what: 'a' | 'b' | 'etcd', isFrozen: boolean): void {
    this.#programs.get(what)?.signal(isFrozen ? 'SIGSTOP' : 'SIGCONT');
  }

  /** What a member says of itself. */
  async says(name: 'a' | 'b'): Promise<{ state?: string; role?: string; pause?: boolean }> {
    const response = await fetch(`${this.nodes[name].rest}/patroni`, { signal: AbortSignal.timeout(2_000) });
    return (await response.json()) as Awaited<ReturnType<PatroniCluster['says']>>;
  }

  /** A key below the scope in etcd; undefined if it is not there. */
  async stored(key: string): Promise<string | undefined> {
    const body = JSON.stringify({ key: Buffer.from(`/service/demo/${key}`).toString('base64') });
    const response = await fetch(`${this.etcd}/v3/kv/range`, {
      method: 'POST',
      body,
      signal: AbortSignal.timeout(2_000),
    });
    const { kvs = [] } = (await response.json()) as { kvs?: { value?: string }[] };
    return kvs[0] && Buffer.from(kvs[0].value ?? '', 'base64').toString();
  }

  async stop(): Promise<void> {
    for (const name of ['a', 'b'] as const) {
      const pid = await readFile(join(this.#folder, `data-${name}`, 'postmaster.pid'), 'utf8').catch(() => '');
      await this.#programs.get(name)?.kill();
      try {
        if (Number(pid.split('\n')[0]) > 1) process.kill(Number(pid.split('\n')[0]), 'SIGKILL');
      } catch {
        // It was gone.
      }
    }
    await this.#programs.get('etcd')?.kill();
    await new Promise((resolve) => setTimeout(resolve, 300));
    await rm(this.#folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }

  #send(name: 'a' | 'b', method: string, path: string, body: object): Promise<Response> {
    return fetch(`${this.nodes[name].rest}/${path}`, {
      method,
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(60_000),
    });
  }

  async #startEtcd(): Promise<void> {
    // The folder of the control plane may be closed to the account.
    const binary = join(this.#folder, 'etcd');
    await copyFile(etcdBinary ?? '', binary);
    await this.#own(binary);
    const peer = this.etcd.replace('12379', '12380');
    const addresses = ['--listen-client-urls', this.etcd, '--advertise-client-urls', this.etcd];
    const peers = [
      '--listen-peer-urls',
      peer,
      '--initial-advertise-peer-urls',
      peer,
      '--initial-cluster',
      `default=${peer}`,
    ];
    const data = ['--data-dir', join(this.#folder, 'etcd-data'), '--unsafe-no-fsync'];
    this.#programs.set('etcd', new Program(binary, [...data, ...addresses, ...peers], {}, this.#folder));
    await until('etcd', async () => (await fetch(`${this.etcd}/health`)).ok, 30_000);
  }

  async #configure(name: 'a' | 'b'): Promise<void> {
    const { address } = this.nodes[name];
    const sockets = join(this.#folder, `sockets-${name}`);
    await mkdir(sockets);
    await this.#own(sockets);
    const store = this.#store;
    if (store.kind === 'kubernetes') {
      await copyFile(store.kubeconfig, join(this.#folder, 'kubeconfig'));
      await this.#own(join(this.#folder, 'kubeconfig'));
    }
    const kept =
      store.kind === 'etcd'
        ? { etcd3: { hosts: [new URL(this.etcd).host] } }
        : {
            kubernetes: {
              context: store.context,
              namespace: store.namespace,
              labels: { application: 'patroni' },
              scope_label: 'cluster-name',
              role_label: 'role',
              use_endpoints: false,
            },
          };
    // JSON is YAML.
    const settings = {
      scope: 'demo',
      name,
      restapi: { listen: `${address}:18008`, connect_address: `${address}:18008` },
      ...kept,
      bootstrap: {
        dcs: {
          ttl: 20,
          loop_wait: 1,
          retry_timeout: 3,
          synchronous_mode: true,
          postgresql: {
            use_pg_rewind: true,
            use_slots: true,
            parameters: { max_connections: 60, wal_log_hints: 'on' },
          },
        },
        initdb: [{ encoding: 'UTF8' }, 'no-sync', 'data-checksums'],
      },
      postgresql: {
        listen: `${address}:${this.port}`,
        connect_address: `${address}:${this.port}`,
        data_dir: join(this.#folder, `data-${name}`),
        bin_dir: postgresPrograms,
        pgpass: join(this.#folder, `pgpass-${name}`),
        pg_hba: ['host all all 127.0.0.0/8 trust', 'host replication all 127.0.0.0/8 trust', 'local all all trust'],
        authentication: {
          superuser: { username: 'postgres', password: 'x' },
          replication: { username: 'repl', password: 'x' },
          rewind: { username: 'postgres', password: 'x' },
        },
        parameters: { unix_socket_directories: sockets, shared_buffers: '16MB', fsync: 'off' },
      },
      watchdog: { mode: 'off' },
    };
    const file = join(this.#folder, `${name}.yml`);
    await writeFile(file, JSON.stringify(settings));
    await this.#own(file);
  }

  async #own(path: string): Promise<void> {
    if (account.uid !== undefined) await chown(path, account.uid, account.gid);
  }
}
