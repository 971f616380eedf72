import { performance } from 'node:perf_hooks';
import type { Duplex } from 'node:stream';
import {
  DnsResolver,
  type DnsResolverOptions,
  DnsTargetSource,
  FirstAvailableTargetSource,
  type ResolveOptions,
  type TargetSource,
} from '@externalname/core';
import { type ConnectTlsOptions, connect, connectTls, lazySocket } from '@externalname/core/connect';
import type { DnsStatistics } from '@externalname/core/dns';
import {
  type DnsQueryEvent,
  dnsQueryChannel,
  sourceDegraded,
  sourceRecovered,
  targetChanged,
} from '@externalname/core/events';
import { createDispatcher, type ServiceDispatcher } from '@externalname/http';
import { kubernetesSource, type SwitchReport, switchTarget, tcpProbe, tlsProbe } from '@externalname/kubernetes';
import {
  BalancedPool,
  type BalancedPoolOptions,
  type BalancedPoolStatus,
  outcomeOf,
  Pool,
  type PoolOptions,
  type PoolStatus,
} from '@externalname/pg';

/** What a test lets the program in the pod do. Each call is made there, by the code that an application would write. */
export const podCalls = {
  /** Resolves a name with a resolver of its own, which reads the pod's resolv.conf unless it is told otherwise. */
  async resolve(
    name: string,
    { times = 1, ...options }: DnsResolverOptions & ResolveOptions & { times?: number } = {},
  ): Promise<Resolved> {
    const { fresh, family, ...resolverOptions } = options;
    const resolver = new DnsResolver(resolverOptions);
    const queries: DnsQueryEvent[] = [];
    const unsubscribe = dnsQueryChannel.subscribe((event) => queries.push(event));
    const took: number[] = [];
    try {
      let addresses: string[] = [];
      for (let time = 0; time < times; time++) {
        const begun = performance.now();
        const resolution = await resolver.resolve(name, { fresh, family });
        took.push(performance.now() - begun);
        addresses = resolution.addresses.map(({ address }) => address);
      }
      return { addresses, took, queries, statistics: resolver.statistics() };
    } finally {
      unsubscribe();
      await resolver.close();
    }
  },

  /** Makes a pool. `watch` lets the Kubernetes API tell it of a switch, with DNS beneath. */
  async open(id: string, { watch = false, ...options }: PoolOptions & { watch?: boolean }): Promise<void> {
    const source = watch ? watchedSource(options.dns) : undefined;
    const pool = new Pool({ ...options, ...(source === undefined ? {} : { source }) });
    pool.on('error', () => undefined);
    opened.set(id, { pool, source, writing: undefined, reading: undefined });
  },

  /** Makes a pool over several Services. */
  async openBalanced(id: string, options: BalancedPoolOptions): Promise<void> {
    opened.set(id, { pool: new BalancedPool(options), source: undefined, writing: undefined, reading: undefined });
  },

  async query(id: string, text: string, values: unknown[] = []): Promise<Record<string, unknown>[]> {
    return (await openedAs(id).pool.query(text, values)).rows;
  },

  /** Asks the Kubernetes API once where the Service points. */
  async askApi(): Promise<string> {
    await using source = kubernetesSource({ service: 'webscaler-db', requestTimeoutMillis: 2_000 });
    return (await source.current()).externalName;
  },

  /** Whether a module is there to load. */
  async canLoad(name: string): Promise<boolean> {
    return import(name).then(
      () => true,
      () => false,
    );
  },

  /** Switches the Service, by what the pod may do. */
  async switchTo(to: string, allowedTargets: readonly string[]): Promise<SwitchReport> {
    return switchTarget({ service: 'webscaler-db', to, allowedTargets, dnsServers: false });
  },

  /** What a probe of `switchTarget` finds. */
  async probe(kind: 'tcp' | 'tls', host: string, port: number): Promise<string> {
    const probe = kind === 'tcp' ? tcpProbe({ port }) : tlsProbe({ port, protocol: 'postgres' });
    return (await probe.run(host, { signal: AbortSignal.timeout(2_000) })).detail;
  },

  /** How long a query takes. */
  async time(id: string, text: string): Promise<number> {
    const begun = performance.now();
    await openedAs(id).pool.query(text);
    return performance.now() - begun;
  },

  async status(id: string): Promise<PoolStatus> {
    const { pool } = openedAs(id);
    if (pool instanceof BalancedPool) throw new Error(`${id} is a pool over several Services`);
    return pool.status();
  },

  async balancedStatus(id: string): Promise<BalancedPoolStatus> {
    const { pool } = openedAs(id);
    if (pool instanceof BalancedPool) return pool.status();
    throw new Error(`${id} is a pool for one Service`);
  },

  /**
   * Lets workers write, each one row after the other, until {@link podCalls.stopWriting}. Ids begin at `firstId`. If that is left out, none comes
   * twice: TCP may still deliver what an earlier test had sent into a cut line.
   */
  async startWriting(id: string, { workers = 10, firstId = unusedId, pauseMillis = 20 } = {}): Promise<void> {
    const one = openedAs(id);
    one.writing = new Writing(one.pool, { workers, firstId, pauseMillis });
  },

  async stopWriting(id: string): Promise<Written> {
    const { writing } = openedAs(id);
    if (writing === undefined) throw new Error(`nobody writes through ${id}`);
    return writing.stop();
  },

  /** Reads again and again with some workers until {@link stopReading}: a statement that may be retried, and asks for a value of its own. */
  async startReading(id: string, { workers = 4, pauseMillis = 5 } = {}): Promise<void> {
    const one = openedAs(id);
    one.reading = { over: false, asked: 0, answered: 0, wrong: [], failures: [], done: Promise.resolve() };
    const { reading, pool } = one;
    const work = async () => {
      while (!reading.over) {
        const own = ++reading.asked;
        await pool.query({ text: 'select $1::int as own', values: [own], idempotent: true }).then(
          ({ rows }) => {
            reading.answered += 1;
            if (rows.length !== 1 || rows[0].own !== own) reading.wrong.push(`${own}: ${JSON.stringify(rows)}`);
          },
          (error: unknown) => reading.failures.push(String(error)),
        );
        await new Promise((resolve) => setTimeout(resolve, pauseMillis));
      }
    };
    reading.done = Promise.all(Array.from({ length: workers }, work));
  },

  async stopReading(id: string): Promise<{ reads: number; wrong: string[]; failures: string[] }> {
    const { reading } = openedAs(id);
    if (reading === undefined) throw new Error(`no reads go through ${id}`);
    reading.over = true;
    await reading.done;
    const { answered, wrong, failures } = reading;
    return { reads: answered, wrong, failures };
  },

  async close(id: string): Promise<void> {
    const { pool, source } = openedAs(id);
    opened.delete(id);
    await pool.end();
    await source?.close();
  },

  /** Makes a dispatcher for the Service. */
  async openHttp(id: string, { allowedTargets, ca }: { allowedTargets: string[]; ca?: string }): Promise<void> {
    const tls = ca === undefined ? {} : { ca };
    dispatchers.set(id, createDispatcher({ service: 'webscaler-db', allowedTargets, tls }));
  },

  /** The text that a URL answers with. */
  async get(id: string, url: string): Promise<string> {
    try {
      const response = await fetch(url, { dispatcher: dispatcherAs(id) });
      return await response.text();
    } catch (error) {
      throw (error as Error).cause ?? error;
    }
  },

  /** Asks for a URL again and again, ten at once, half of them with POST. */
  async load(id: string, url: string, millis: number): Promise<{ answers: string[]; failures: string[] }> {
    const answers: string[] = [];
    const failures: string[] = [];
    const until = performance.now() + millis;
    const work = async (method: string) => {
      while (performance.now() < until) {
        try {
          const response = await fetch(url, { method, dispatcher: dispatcherAs(id) });
          answers.push(await response.text());
        } catch (error) {
          failures.push(String((error as Error).cause ?? error));
        }
      }
    };
    await Promise.all(Array.from({ length: 10 }, (_, index) => work(index % 2 === 0 ? 'GET' : 'POST')));
    return { answers, failures };
  },

  async closeHttp(id: string): Promise<void> {
    const dispatcher = dispatcherAs(id);
    dispatchers.delete(id);
    await dispatcher.close();
  },

  /** Opens a socket to the Service, and waits until the server has said its name. */
  async openSocket(id: string, way: SocketWay, { tls, ...options }: SocketOptions): Promise<OpenedSocket> {
    const begun = performance.now();
    const wanted = { service: 'webscaler-db', ...options };
    const socket = await {
      connect: () => connect(wanted),
      connectTls: () => connectTls({ ...wanted, tls }),
      lazySocket: async () => lazySocket({ ...wanted, tls: tls ?? {} }),
      'lazySocket in the clear': async () => lazySocket({ ...wanted, tls: false }),
    }[way]();
    const speaking = new Speaking(socket);
    sockets.set(id, speaking);
    const server = await speaking.line();
    return { server, took: performance.now() - begun };
  },

  /** What the server gives back. */
  async say(id: string, text: string): Promise<string> {
    return socketAs(id).say(text);
  },

  /** Waits until the socket is closed. Gives the error that closed it. */
  async socketEnd(id: string): Promise<SocketEnd> {
    return socketAs(id).closed;
  },

  async isSocketOpen(id: string): Promise<boolean> {
    return !socketAs(id).socket.destroyed;
  },

  async closeSocket(id: string): Promise<void> {
    const { socket, closed } = socketAs(id);
    sockets.delete(id);
    socket.destroy();
    await closed;
  },

  /** Milliseconds since 1970, as this program has them. */
  async wallClock(): Promise<number> {
    return Date.now();
  },

  /** What the sources of this program said since the last time. */
  async sourceEvents(): Promise<string[]> {
    return sourceEvents.splice(0);
  },
} as const;

export type PodCalls = typeof podCalls;

export interface Resolved {
  readonly addresses: readonly string[];
  /** Milliseconds of each time. */
  readonly took: readonly number[];
  readonly queries: readonly DnsQueryEvent[];
  readonly statistics: DnsStatistics;
}

/** What became of the writes of a pool. */
export interface Written {
  readonly acknowledged: readonly number[];
  readonly failures: readonly { id: number; code: string; message: string; outcome: string }[];
  /** Ids of writes that took longer than 15 s. */
  readonly hung: readonly number[];
  readonly slowestMillis: number;
}

const dispatchers = new Map<string, ServiceDispatcher>();

function dispatcherAs(id: string): ServiceDispatcher {
  const dispatcher = dispatchers.get(id);
  if (dispatcher === undefined) throw new Error(`there is no dispatcher ${id}`);
  return dispatcher;
}

/** Which function opens a socket. */
export type SocketWay = 'connect' | 'connectTls' | 'lazySocket' | 'lazySocket in the clear';

type SocketOptions = Pick<ConnectTlsOptions, 'port' | 'allowedTargets' | 'tls' | 'timeoutMillis'> & {
  readonly attemptTimeoutMillis?: number;
  readonly onSwitch?: 'close' | 'keep';
};

export interface OpenedSocket {
  /** The name that the server said. */
  readonly server: string;
  /** Milliseconds. */
  readonly took: number;
}

/** What closed a socket: an error, or the other side. */
export interface SocketEnd {
  readonly code?: string | undefined;
  readonly outcome?: string | undefined;
}

/** A socket to a server that says its name first, and then gives back what it is told, line by line. */
class Speaking {
  readonly socket: Duplex;
  readonly closed: Promise<SocketEnd>;
  #text = '';
  #hear: (() => void) | undefined;
  #failure: Error | undefined;

  constructor(socket: Duplex) {
    this.socket = socket;
    let end: SocketEnd = {};
    socket.on('error', (failure: Error & SocketEnd) => {
      this.#failure = failure;
      end = { code: failure.code, outcome: failure.outcome };
    });
    socket.on('data', (chunk) => {
      this.#text += String(chunk);
      this.#hear?.();
    });
    this.closed = new Promise((resolve) => {
      socket.on('close', () => {
        resolve(end);
        this.#hear?.();
      });
    });
  }

  async line(): Promise<string> {
    while (!this.#text.includes('\n')) {
      if (this.socket.closed) throw this.#failure ?? new Error('the socket is closed');
      await new Promise<void>((resolve) => {
        this.#hear = resolve;
      });
    }
    const end = this.#text.indexOf('\n');
    const line = this.#text.slice(0, end);
    this.#text = this.#text.slice(end + 1);
    return line;
  }

  async say(text: string): Promise<string> {
    this.socket.write(`${text}\n`);
    return this.line();
  }
}

const sockets = new Map<string, Speaking>();

function socketAs(id: string): Speaking {
  const socket = sockets.get(id);
  if (socket === undefined) throw new Error(`there is no socket ${id}`);
  return socket;
}

interface Opened {
  readonly pool: Pool | BalancedPool;
  readonly source: TargetSource | undefined;
  writing: Writing | undefined;
  reading: Reading | undefined;
}

interface Reading {
  over: boolean;
  asked: number;
  answered: number;
  /** Answers to another's question. */
  readonly wrong: string[];
  readonly failures: string[];
  done: Promise<unknown>;
}

class Writing {
  readonly #pool: Opened['pool'];
  readonly #acknowledged: number[] = [];
  readonly #failures: { id: number; code: string; message: string; outcome: string }[] = [];
  readonly #hung: number[] = [];
  readonly #workers: readonly Promise<void>[];
  #slowestMillis = 0;
  #nextId: number;
  #stopped = false;

  constructor(pool: Opened['pool'], options: { workers: number; firstId: number; pauseMillis: number }) {
    this.#pool = pool;
    this.#nextId = options.firstId;
    this.#workers = Array.from({ length: options.workers }, (_, worker) => this.#work(worker, options.pauseMillis));
  }

  async stop(): Promise<Written> {
    this.#stopped = true;
    await Promise.all(this.#workers);
    return {
      acknowledged: this.#acknowledged,
      failures: this.#failures,
      hung: this.#hung,
      slowestMillis: this.#slowestMillis,
    };
  }

  async #work(worker: number, pauseMillis: number): Promise<void> {
    while (!this.#stopped) {
      const id = this.#nextId++;
      unusedId = Math.max(unusedId, this.#nextId);
      const begun = performance.now();
      try {
        await this.#pool.query('insert into writes (id, worker) values ($1, $2)', [id, worker]);
        this.#acknowledged.push(id);
      } catch (error) {
        const { code = '', message } = error as Error & { code?: string };
        this.#failures.push({ id, code, message, outcome: outcomeOf(error) ?? 'unsaid' });
      }
      const took = performance.now() - begun;
      this.#slowestMillis = Math.max(this.#slowestMillis, took);
      if (took > hungAfterMillis) this.#hung.push(id);
      await new Promise((resolve) => setTimeout(resolve, pauseMillis));
    }
  }
}

/** Greater than all ids so far. */
let unusedId = 1;
const opened = new Map<string, Opened>();
const sourceEvents: string[] = [];
targetChanged.subscribe(({ target, source }) => sourceEvents.push(`changed to ${target} by ${source}`));
sourceDegraded.subscribe(({ source, code }) => sourceEvents.push(`degraded ${source} ${code}`));
sourceRecovered.subscribe(({ source }) => sourceEvents.push(`recovered ${source}`));

function openedAs(id: string): Opened {
  const one = opened.get(id);
  if (one === undefined) throw new Error(`no pool is called ${id}`);
  return one;
}

function watchedSource(dns: PoolOptions['dns']): TargetSource {
  const resolver = dns instanceof DnsResolver ? dns : new DnsResolver(dns as DnsResolverOptions | undefined);
  const service = 'webscaler-db';
  return new FirstAvailableTargetSource([kubernetesSource({ service }), new DnsTargetSource({ service, resolver })]);
}

const hungAfterMillis = 15_000;
