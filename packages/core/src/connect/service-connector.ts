import type net from 'node:net';
import tls from 'node:tls';
import { inBackground } from '../background.ts';
import { backoffMillis } from '../backoff.ts';
import type { Clock, Random } from '../clock.ts';
import { abortable, onAbort, sleep, type WaitOptions, withDeadline } from '../deadline.ts';
import { type Dependencies, dependenciesOf } from '../dependencies.ts';
import { ResolutionError } from '../dns/index.ts';
import { ClosedError, isExternalNameError } from '../errors.ts';
import { explainCertificateFailure, tlsIdentity } from '../identity/index.ts';
import type { ClusterContext } from '../names/index.ts';
import { type Endpoint, NoEndpointError, type Target } from '../targets/index.ts';
import { describeEndpoint, dial } from './dial.ts';
import { ConnectTimeoutError, FailoverTimeoutError } from './errors.ts';
import { serviceSwitched, targetNotFollowed } from './events.ts';
import type { ServiceSettings, ServiceTlsOptions } from './options.ts';
import { SharedSecureContext } from './secure-context.ts';
import { type ServiceRoute, serviceRoute } from './service-route.ts';
import { isCertificateFailure, recordOutcome, socketFailure } from './socket-failure.ts';
import { TargetFollower } from './target-follower.ts';

/**
 * A socket to open: its port, and whether it uses TLS.
 *
 * @internal
 */
export interface SocketWanted {
  readonly port: number;
  /** `undefined` for a plain socket. */
  readonly tls: ServiceTlsOptions | undefined;
}

/**
 * Called, outside every other call, when sockets go to another target from now on.
 *
 * @internal
 */
export type SwitchListener = (target: Target, previous: Target) => void;

/**
 * Opens verified sockets to the host that a Service points to, and follows the Service. A new target is tried first, with one
 * connection, while the current one keeps serving; see {@link TargetFollower}.
 *
 * @internal
 */
export class ServiceConnector {
  readonly #settings: ServiceSettings;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #route: ServiceRoute;
  readonly #follower: TargetFollower;
  readonly #secureContext = new SharedSecureContext();
  readonly #closing = new AbortController();
  readonly #onSwitch: SwitchListener;
  /** The last request. A new target is tried with the same settings. */
  #wanted: SocketWanted | undefined;
  #serving = true;
  #everServed = false;
  #recovery: Recovery | undefined;

  /**
   * Starts nothing.
   *
   * @throws AllowListRequiredError `ERR_EXTERNALNAME_ALLOW_LIST_REQUIRED`
   * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT`
   */
  constructor(settings: ServiceSettings, onSwitch: SwitchListener = () => undefined, dependencies: Dependencies = {}) {
    const { clock, random } = dependenciesOf(dependencies);
    this.#settings = settings;
    this.#clock = clock;
    this.#random = random;
    this.#onSwitch = onSwitch;
    this.#route = serviceRoute(settings, { clock, random });
    this.#follower = new TargetFollower(
      { source: this.#route.source, policy: this.#route.policy, vetIntervalMillis: recoveryPause.shortestMillis * 3 },
      {
        vet: async (target, signal) => void (await this.#probe(target, signal)),
        judge: socketFailure,
        move: (target, previous) => this.#move(target, previous),
        currentServes: () => this.#serving,
        refused: (target, error) => {
          const stays = this.target?.externalName;
          targetNotFollowed.publish(() => ({ name: settings.service, target: target.externalName, stays, error }));
        },
      },
      clock,
    );
  }

  /** Where sockets go now; `undefined` before the first answer. */
  get target(): Target | undefined {
    return this.#follower.target;
  }

  /** What completes a short name of the Service. */
  get context(): ClusterContext {
    return this.#route.context;
  }

  /**
   * The current target; asks the source if none is known yet.
   *
   * @throws what the source or the policy raises
   */
  current(signal: AbortSignal): Promise<Target> {
    if (this.#closing.signal.aborted) return Promise.reject(this.#closing.signal.reason);
    return this.#follower.current(signal);
  }

  /**
   * Opens a socket to the target: looks up its addresses, checks them against the policy, and races them. The TLS handshake, in which
   * the server proves the target's name, is part of the race.
   *
   * @throws ResolutionError, the policy's errors, or NoEndpointError with one entry for each address. If there is only one address, or
   * if all certificates were refused, it throws the first address's own error.
   */
  async open(target: Target, wanted: SocketWanted, { signal }: WaitOptions = {}): Promise<net.Socket> {
    this.#wanted = wanted;
    try {
      const socket = await this.#connect(target, wanted, signal);
      if (target.externalName === this.target?.externalName) this.#served();
      return socket;
    } catch (error) {
      if (signal?.aborted || this.#closing.signal.aborted) throw error;
      recordOutcome(error, 'not-executed');
      if (target.externalName === this.target?.externalName) this.#lost();
      throw error;
    }
  }

  /** Opens a socket to the current target. If the Service points elsewhere by then, it tries again with the new target. */
  async openCurrent(
    wanted: SocketWanted,
    signal: AbortSignal,
  ): Promise<{ readonly socket: net.Socket; readonly target: Target }> {
    for (;;) {
      const target = await this.current(signal);
      const socket = await this.open(target, wanted, { signal });
      if (this.target === undefined || target.externalName === this.target.externalName) return { socket, target };
      socket.destroy();
    }
  }

  /**
   * Retries an attempt, which may throw what `open` and `current` throw, for as long as a retry may help. Between attempts it waits
   * until a server is there again.
   *
   * @throws FailoverTimeoutError `ERR_EXTERNALNAME_FAILOVER_TIMEOUT` when the time is up. With 0 it makes one attempt, and throws its error
   */
  async persist<T>(
    attempt: (signal: AbortSignal) => Promise<T>,
    { signal, timeoutMillis }: WaitOptions & { timeoutMillis: number },
  ): Promise<T> {
    let cause: unknown;
    const work = async (inner: AbortSignal) => {
      for (;;) {
        try {
          return await attempt(inner);
        } catch (error) {
          inner.throwIfAborted();
          if (timeoutMillis === 0 || !this.#isWorthAnother(error)) throw error;
          cause = error;
        }
        await this.#recovered(inner);
      }
    };
    return await withDeadline(work, {
      signal,
      timeoutMillis: timeoutMillis === 0 ? Number.POSITIVE_INFINITY : timeoutMillis,
      clock: this.#clock,
      onTimeout: () => new FailoverTimeoutError(this.#settings.service, timeoutMillis, { cause }),
    });
  }

  // Whether a retry may help after an error of `open` or `current`.
  #isWorthAnother(error: unknown): boolean {
    if (this.#closing.signal.aborted || (isExternalNameError(error) && error.code === 'ERR_EXTERNALNAME_CLOSED'))
      return false;
    const { kind, isLasting } = socketFailure(error);
    if (kind !== 'name' || this.#everServed) return !isLasting;
    // At the start, "no such host" is a mistake to report; "no server answers" may pass.
    return error instanceof ResolutionError && error.failure === 'unavailable';
  }

  // Resolves when a socket to the current target could be opened again, or sockets go to another one. One attempt runs at a time,
  // however many callers wait. It ends when the last of them stops waiting.
  async #recovered(signal: AbortSignal): Promise<void> {
    this.#closing.signal.throwIfAborted();
    this.#recovery ??= this.#beginRecovery();
    const recovery = this.#recovery;
    recovery.waiting += 1;
    try {
      await abortable(recovery.over, signal);
    } finally {
      recovery.waiting -= 1;
    }
  }

  /** Call it when a connection broke: it asks where the Service points, past every cache. Only the next connection shows whether the server is gone. */
  suspect(): void {
    if (!this.#closing.signal.aborted) this.#look();
  }

  /** Ends what follows the Service, and every attempt. Sockets that were opened stay. Idempotent. */
  async close(): Promise<void> {
    this.#closing.abort(new ClosedError(`the way to ${this.#settings.service}`));
    this.#follower.close();
    this.#recovery?.end();
    await this.#route.close();
  }

  #move(target: Target, previous: Target | undefined): void {
    this.#serving = true;
    if (previous === undefined) return;
    const { service: name } = this.#settings;
    const { source, externalName: to } = target;
    serviceSwitched.publish(() => ({ name, from: previous.externalName, to, source }));
    this.#onSwitch(target, previous);
    this.#recovery?.end();
  }

  #served(): void {
    this.#serving = true;
    this.#everServed = true;
  }

  #lost(): void {
    if (this.#closing.signal.aborted) return;
    this.#serving = false;
    this.#follower.currentLost();
    this.#look();
  }

  #look(): void {
    // Never rejects: a new target arrives by itself.
    this.#follower.refresh().catch(() => undefined);
  }

  #beginRecovery(): Recovery {
    let end = () => {};
    const over = new Promise<void>((resolve) => {
      end = resolve;
    });
    const recovery: Recovery = {
      waiting: 0,
      over,
      end: () => {
        if (this.#recovery === recovery) this.#recovery = undefined;
        end();
      },
    };
    // Never rejects.
    inBackground(() => this.#recover(recovery)).catch(() => undefined);
    return recovery;
  }

  async #recover(recovery: Recovery): Promise<void> {
    const { signal } = this.#closing;
    let failures = 1;
    try {
      do {
        const pauseMillis = backoffMillis(failures, recoveryPause) * (0.5 + this.#random());
        await sleep(pauseMillis, { signal, clock: this.#clock, background: true });
        failures += 1;
        if (this.#recovery !== recovery) return;
        try {
          await this.#probe(await this.current(signal), signal);
          this.#served();
          return;
        } catch (error) {
          // Waiting callers meet the same error, and report it.
          if (!this.#isWorthAnother(error)) return;
          this.#lost();
        }
      } while (recovery.waiting > 0);
    } finally {
      recovery.end();
    }
  }

  async #probe(target: Target, signal: AbortSignal): Promise<void> {
    const wanted = this.#wanted;
    if (wanted === undefined) return;
    const socket = await this.#connect(target, wanted, signal);
    socket.destroy();
  }

  async #connect(target: Target, wanted: SocketWanted, signal: AbortSignal | undefined): Promise<net.Socket> {
    const { attemptTimeoutMillis: timeoutMillis } = this.#settings;
    const attempt = async (inner: AbortSignal) => {
      const endpoints = await this.#route.endpoints(target, { signal: inner, port: wanted.port });
      const tried = (endpoint: Endpoint, each: AbortSignal) => this.#connectTo(endpoint, wanted, each);
      try {
        const { endpoint, socket } = await this.#route.race(endpoints, tried, inner);
        this.#route.report(endpoint, false);
        return socket;
      } catch (error) {
        for (const endpoint of endpoints) this.#route.report(endpoint, true);
        throw commonFailure(error);
      }
    };
    const { signal: closing } = this.#closing;
    return await withDeadline(attempt, {
      signal: signal === undefined ? closing : AbortSignal.any([signal, closing]),
      timeoutMillis,
      clock: this.#clock,
      onTimeout: () => new ConnectTimeoutError(`${target.externalName}:${wanted.port}`, timeoutMillis),
    });
  }

  async #connectTo(endpoint: Endpoint, wanted: SocketWanted, signal: AbortSignal): Promise<net.Socket> {
    const raw = await dial({ host: endpoint.address, port: endpoint.port, noDelay: true }, signal);
    if (wanted.tls === undefined) return raw;
    return await this.#secure(raw, endpoint, wanted.tls, signal);
  }

  #secure(
    raw: net.Socket,
    endpoint: Endpoint,
    options: ServiceTlsOptions,
    signal: AbortSignal,
  ): Promise<tls.TLSSocket> {
    const { target } = endpoint;
    const secureContext = this.#secureContext.of(options);
    return new Promise((resolve, reject) => {
      const socket = tls.connect({
        ...options,
        ...(secureContext && { secureContext }),
        ...tlsIdentity(target),
        rejectUnauthorized: true,
        socket: raw,
      });
      // Until the caller listens for errors, an error must not end the process.
      socket.on('error', () => {});
      const settle = () => {
        stopListening();
        socket.off('error', fail).off('close', ended).off('secureConnect', secured);
      };
      const secured = () => {
        settle();
        resolve(socket);
      };
      const fail = (error: Error) => {
        settle();
        socket.destroy();
        reject(explainCertificateFailure(target, error, this.#clock.date(), 'tls.ca'));
      };
      const ended = () =>
        fail(new Error(`${describeEndpoint(endpoint)} closed the connection during the TLS handshake`));
      const abort = () => fail(signal.reason as Error);
      socket.on('error', fail).on('close', ended).on('secureConnect', secured);
      const stopListening = onAbort(signal, abort);
      if (signal.aborted) abort();
    });
  }
}

/** One wait for a target to serve again, shared by all callers. */
interface Recovery {
  waiting: number;
  readonly over: Promise<void>;
  readonly end: () => void;
}

// An expired certificate is expired at each address: the reader wants to know that, not how many addresses there are.
function commonFailure(error: unknown): unknown {
  if (!(error instanceof NoEndpointError)) return error;
  const [first, ...others] = error.failures.map((failure) => failure.error);
  if (others.length === 0) return first ?? error;
  return [first, ...others].every(isCertificateFailure) ? first : error;
}

const recoveryPause = { shortestMillis: 100, longestMillis: 1_000 };
