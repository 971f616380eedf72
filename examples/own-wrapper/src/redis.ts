import { setTimeout as pause } from 'node:timers/promises';
import { DnsResolver, type DnsResolverOptions, DnsTargetSource } from '@externalname/core';
import { type ConnectTlsOptions, connectTls } from '@externalname/core/connect';
import { RedisConnection } from './redis-connection.ts';
import { RedisError, type Reply } from './resp.ts';

/** See {@link Redis}. */
export interface RedisOptions extends Omit<ConnectTlsOptions, 'dns' | 'onSwitch' | 'signal' | 'source'> {
  /** Settings of the DNS resolver. @defaultValue resolv.conf */
  dns?: DnsResolverOptions | undefined;
  /** How long a command may wait for a server that takes it. Milliseconds. @defaultValue 10000 */
  failoverTimeoutMillis?: number | undefined;
  /** How long an answer may take. The connection is closed after that. Milliseconds. @defaultValue 5000 */
  answerTimeoutMillis?: number | undefined;
  /** How long answers may take on the old server after a switch. Milliseconds. @defaultValue 250 */
  drainTimeoutMillis?: number | undefined;
}

/** See {@link Redis.command}. */
export interface CommandOptions {
  /** Running it twice does no harm, so that it is sent again also if its answer was lost. @defaultValue false */
  idempotent?: boolean | undefined;
}

/**
 * Redis through an ExternalName Service, over verified TLS. It follows the Service: new commands go to the new server, and answers under
 * way come from the old one. A command that certainly did not run is sent again, until it runs or the time is over.
 */
export class Redis implements AsyncDisposable {
  readonly #options: RedisOptions;
  readonly #resolver: DnsResolver;
  readonly #source: DnsTargetSource;
  readonly #closing = new AbortController();
  #connecting: Promise<RedisConnection> | undefined;

  constructor(options: RedisOptions) {
    this.#options = options;
    this.#resolver = new DnsResolver(options.dns);
    this.#source = new DnsTargetSource({
      service: options.service,
      resolver: this.#resolver,
      namespace: options.namespace,
      clusterDomain: options.clusterDomain,
    });
  }

  /**
   * Runs a command: `redis.command(['SET', 'a', '1'], { idempotent: true })`.
   *
   * @throws RedisError if Redis refuses it for good; AnswerLostError (`outcome: 'unknown'`) if it may have run; the errors of
   * `connectTls` (`outcome: 'not-executed'`) if no server took it in time
   */
  async command(words: readonly string[], { idempotent = false }: CommandOptions = {}): Promise<Reply> {
    const deadline = performance.now() + (this.#options.failoverTimeoutMillis ?? 10_000);
    for (;;) {
      try {
        const connection = await this.#connection();
        return await connection.send(words);
      } catch (error) {
        const again = mayRunLater(error) || (idempotent && outcomeOf(error) === 'unknown');
        if (!again || this.#closing.signal.aborted || performance.now() > deadline) throw error;
        await this.#lookAgain(error);
      }
    }
  }

  /** The server of the next command, as TLS has verified it. */
  async target(): Promise<string> {
    return (await this.#source.current()).externalName;
  }

  async close(): Promise<void> {
    this.#closing.abort();
    const connection = await this.#connecting?.catch(() => undefined);
    connection?.retire(this.#options.drainTimeoutMillis ?? 250);
    await this.#source.close();
    await this.#resolver.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** The open connection, or the one that all callers wait for. */
  async #connection(): Promise<RedisConnection> {
    const connecting = this.#connecting;
    const known = await connecting?.catch(() => undefined);
    if (known?.isOpen) return known;
    // Another caller may have begun in the meantime.
    if (this.#connecting === connecting || this.#connecting === undefined) this.#connecting = this.#connect();
    return await this.#connecting;
  }

  async #connect(): Promise<RedisConnection> {
    const { dns: _, failoverTimeoutMillis: _wait, ...rest } = this.#options;
    const { drainTimeoutMillis = 250, answerTimeoutMillis = 5_000, ...options } = rest;
    let connection: RedisConnection | undefined;
    const socket = await connectTls({
      ...options,
      dns: this.#resolver,
      source: this.#source,
      signal: this.#closing.signal,
      // A server answers at the new target: it gets the next command.
      onSwitch: () => connection?.retire(drainTimeoutMillis),
    });
    connection = new RedisConnection(socket, answerTimeoutMillis);
    return connection;
  }

  /** Before the next attempt: has the Service been pointed elsewhere? */
  async #lookAgain(error: unknown): Promise<void> {
    const connection = await this.#connecting?.catch(() => undefined);
    // A server that is a replica now takes writes never again, so the next attempt makes a connection to where the Service points then.
    if (isReplica(error)) connection?.retire(this.#options.drainTimeoutMillis ?? 250);
    await this.#source.current({ fresh: true }).catch(() => undefined);
    await pause(retryPauseMillis, undefined, { signal: this.#closing.signal }).catch(() => undefined);
  }
}

/** `not-executed` is certain: it is safe to send the command again. `unknown` if nothing is said. */
export function outcomeOf(error: unknown): 'not-executed' | 'unknown' {
  return (error as { outcome?: unknown } | undefined)?.outcome === 'not-executed' ? 'not-executed' : 'unknown';
}

/** Whether the command certainly did not run, and may run in a moment: no server was reached, or this one does not take it now. */
function mayRunLater(error: unknown): boolean {
  if (outcomeOf(error) !== 'not-executed') return false;
  const { code = '' } = error as { code?: string };
  return error instanceof RedisError ? passing.has(code) : !final.has(code);
}

function isReplica(error: unknown): boolean {
  return (error as { code?: string }).code === 'READONLY';
}

/** Answers of a server that is a replica, loads its data, or has lost its primary. */
const passing: ReadonlySet<string> = new Set(['READONLY', 'LOADING', 'MASTERDOWN']);

/** Somebody has to change something first. */
const final: ReadonlySet<string> = new Set([
  'ERR_EXTERNALNAME_TARGET_REFUSED',
  'ERR_EXTERNALNAME_ADDRESS_REFUSED',
  'ERR_EXTERNALNAME_ALLOW_LIST_REQUIRED',
  'ERR_EXTERNALNAME_INVALID_ARGUMENT',
]);

const retryPauseMillis = 50;
