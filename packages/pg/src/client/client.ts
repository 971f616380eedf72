import { type Endpoint, isExternalNameError, systemClock, systemRandom, type Target } from '@externalname/core';
import { abortable, describeEndpoint, onAbort, recordOutcome, withDeadline } from '@externalname/core/internal';
// As a namespace, for this name stands in the public types: users without esModuleInterop have no default import of pg.
import * as pg from 'pg';
import { clientOptions, demandsOf } from '../client-options.ts';
import { answerScramFrom, guardAuthentication } from '../connect/authentication.ts';
import type { OpenConnection } from '../connect/connector.ts';
import { ScramKeyCache } from '../connect/scram-key-cache.ts';
import { checkRole, describeRole, RoleReports, roleFits } from '../connect/session-role.ts';
import { requestCancel } from '../driver/cancel-request.ts';
import {
  endWaitForReady,
  forgetStartUp,
  isUsable,
  onEnd,
  onMessage,
  onReadyForQuery,
} from '../driver/client-internals.ts';
import { destroyClient, silenceClient } from '../driver/closing.ts';
import { hideClientSecrets } from '../driver/concealed-client.ts';
import { recoverPreparedStatements } from '../driver/prepared-statements.ts';
import { type HeldQuery, holdQuery, type QueryArguments } from '../driver/query-forms.ts';
import { sendWatched } from '../driver/query-timeout.ts';
import { type Retirement, retireClient } from '../driver/retire.ts';
import { attemptView, makeAnew, type Snapshot, snapshot } from '../driver/reused-client.ts';
import { recordStatementOutcomes, sendNothingMore } from '../driver/statement-outcome.ts';
import { ConnectionLostError, FailoverTimeoutError, ServerRoleError } from '../errors.ts';
import type { ConnectionRequest } from '../failover/connection-factory.ts';
import { SharedConnections, type SharingClient } from '../failover/shared-connections.ts';
import { UnfollowedService } from '../failover/unfollowed-service.ts';
import { MonitoredClient } from '../liveness/monitored-client.ts';
import { type PoolOptions, type PoolSettings, poolSettings } from '../options.ts';
import { attachRecentEvents, type RecentEvent } from '../recent-events.ts';

/** Options of {@link Client}: those of {@link Pool}. Options that only a pool can use (`max`, ...) are ignored. */
export type ClientOptions = PoolOptions;

/**
 * A `pg.Client` that connects through a Kubernetes ExternalName Service, for libraries that bring their own pool (Knex,
 * Sequelize, TypeORM's replication, pg-boss).
 *
 * `connect()` finds the Service's target, verifies it, and waits for up to `failoverTimeoutMillis` while no usable server is
 * known. When the Service is pointed elsewhere, the client ends with an `error` event ({@link TargetRetiredError}): at once if it
 * is idle, else after its statement or transaction, or after `drainTimeoutMillis`. Its pool then replaces it with a new client,
 * which connects to the new target.
 *
 * Clients with the same options share what watches the Service. For a plain host it is a `pg.Client`.
 *
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT` for an option that cannot be used
 *
 * @example
 * ```ts
 * const client = new Client({ service: 'webscaler-db', allowedTargets: ['*.example.com'], database: 'app' });
 * await client.connect();
 * client.on('error', (error) => console.log(`take another one: ${error.message}`));
 * ```
 */
export class Client extends pg.Client {
  readonly #settings: PoolSettings;
  readonly #options: PoolOptions;
  #state: ClientState = { name: 'new' };
  /** Queries that were called before there was a connection. */
  readonly #held: HeldQuery[] = [];

  constructor(config: string | ClientOptions = {}) {
    const options = typeof config === 'string' ? { connectionString: config } : config;
    const settings = poolSettings(options);
    const passed = clientOptions(options, settings);
    super(passed as pg.ClientConfig);
    hideClientSecrets(this);
    this.#settings = settings;
    // Hidden, as it holds the password.
    this.#options = passed;
  }

  /** Where the client is connected; `undefined` before that, and for a plain host. */
  get target(): Target | undefined {
    return this.#endpoint?.target;
  }

  get #endpoint(): Endpoint | undefined {
    return this.#state.name === 'ready' ? this.#state.endpoint : undefined;
  }

  /**
   * As in `pg.Client`.
   *
   * @throws FailoverTimeoutError `ERR_EXTERNALNAME_FAILOVER_TIMEOUT` if no usable server was found in time
   * @throws AllowListRequiredError `ERR_EXTERNALNAME_ALLOW_LIST_REQUIRED` for a Service without `allowedTargets`
   */
  override connect(): Promise<pg.Client>;
  /** The same, with a callback. */
  override connect(callback: ((error: Error) => void) | ((error: null, client: pg.Client) => void)): void;
  override connect(callback?: unknown): unknown {
    if (this.#state.name !== 'new') {
      const error = new Error('Client has already been connected. You cannot reuse a client.');
      return answerConnect(Promise.reject(error), callback);
    }
    return answerConnect(this.#settings.follows ? this.#connectThroughService() : this.#connectPlainly(), callback);
  }

  static {
    // Bundlers rename the class.
    Object.defineProperty(Client, 'name', { value: 'Client' });
    // Not as a method, because the types of pg already have its many forms. Queries before the connection wait.
    Object.defineProperty(Client.prototype, 'query', {
      configurable: true,
      writable: true,
      value(this: Client, ...query: QueryArguments): unknown {
        const { name } = this.#state;
        if (!this.#settings.follows) return sendQuery(this, query);
        const send = (asked: QueryArguments) =>
          sendWatched(
            this,
            asked,
            (watched) => sendQuery(this, watched),
            () => this.#abandon(),
          );
        if (name !== 'new' && name !== 'connecting') return send(query);
        const held = holdQuery(query, send);
        this.#held.push(held);
        return held.answer;
      },
    });
  }

  /** Hides the events of a single attempt. @internal */
  override emit(name: string | symbol, ...values: unknown[]): boolean {
    // The end of one attempt is not the end of the client.
    if (this.#state.name === 'connecting' && (name === 'connect' || name === 'end')) return false;
    return super.emit(name, ...values);
  }

  /** As in `pg.Client`. */
  override end(): Promise<void>;
  /** The same, with a callback. */
  override end(callback: (error: Error) => void): void;
  override end(callback?: unknown): unknown {
    const ended = this.#end();
    if (typeof callback !== 'function') return ended;
    ended.then(
      () => process.nextTick(callback as () => void),
      (error) => process.nextTick(callback as (error: Error) => void, error),
    );
    return undefined;
  }

  /** Calls `end()`, at the end of `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.end();
  }

  // ---- Connecting

  async #connectPlainly(): Promise<pg.Client> {
    const { name } = this.#settings;
    await new UnfollowedService(this.#settings, { clock: systemClock, random: systemRandom }).beforeConnecting();
    const roles = new RoleReports();
    this.#state = { name: 'ready', endpoint: undefined, leave: async () => undefined, suspect: ignore };
    guardAuthentication(this, demandsOf(this.#settings, this, name));
    const scramKeys = new ScramKeyCache();
    if (this.#settings.channelBinding !== 'disable') answerScramFrom(this, scramKeys);
    roles.track(this);
    endWaitForReady(this);
    try {
      await super.connect();
    } finally {
      scramKeys.close();
    }
    forgetStartUp(this);
    recordStatementOutcomes(this);
    recoverPreparedStatements(this);
    try {
      await checkRole(this, roles, name, this.#settings);
    } catch (error) {
      if (error instanceof ServerRoleError) await super.end();
      throw error;
    }
    return this;
  }

  #connectThroughService(): Promise<pg.Client> {
    const controller = new AbortController();
    const connecting = this.#followTo(controller);
    this.#state = { name: 'connecting', controller, over: connecting.then(ignore, ignore) };
    return connecting;
  }

  async #followTo(controller: AbortController): Promise<pg.Client> {
    const sharing: SharingClient = {
      createScout: () => {
        const scout = new pg.Client(this.#options as pg.ClientConfig);
        // A scout may die, but must not end the process.
        scout.on('error', ignore);
        return scout;
      },
      login: { user: this.user, database: this.database },
      retire: (target) => this.#retire(target),
      endpoint: () => this.#endpoint,
      leave: () => this.#leave(),
    };
    const shared = SharedConnections.join(this.#settings, sharing);
    const own = snapshot(this);
    const request: ConnectionRequest = {
      signal: controller.signal,
      lastError: undefined,
      createClient: () => this.#prepareAttempt(own, controller.signal),
    };
    try {
      const connection = await this.#withinTime(request, controller, shared);
      controller.signal.throwIfAborted();
      this.#becomeReady(connection, shared, () => shared.leave(sharing));
    } catch (error) {
      destroyClient(this);
      if (isExternalNameError(error)) attachRecentEvents(error, shared.recentEvents);
      await shared.leave(sharing);
      this.#state = { name: 'over', connected: false };
      recordOutcome(error, 'not-executed');
      for (const held of this.#held.splice(0)) held.fail(error);
      // As in `pg`, after the error: Sequelize takes an `end` before it for a timeout.
      setImmediate(() => this.emit('end'));
      throw error;
    }
    for (const held of this.#held.splice(0)) held.send();
    this.emit('connect');
    return this;
  }

  async #withinTime(
    request: ConnectionRequest,
    controller: AbortController,
    shared: SharedConnections,
  ): Promise<OpenConnection> {
    const { connectionTimeoutMillis, failoverTimeoutMillis, name } = this.#settings;
    const timeoutMillis = connectionTimeoutMillis || failoverTimeoutMillis || Number.POSITIVE_INFINITY;
    return await withDeadline(
      (deadline) => {
        onAbort(deadline, () => controller.abort(deadline.reason));
        return abortable(shared.connect(request), controller.signal);
      },
      {
        clock: systemClock,
        timeoutMillis,
        onTimeout: () =>
          connectionTimeoutMillis > 0
            ? timeoutExpiredError(request.lastError, shared.recentEvents)
            : new FailoverTimeoutError(name, timeoutMillis, { cause: request.lastError }),
      },
    );
  }

  // Each attempt needs an unused client; this one is reset in place, and what belongs to its user stays.
  #prepareAttempt(own: Snapshot, signal: AbortSignal): pg.Client {
    signal.throwIfAborted();
    if (own.used) makeAnew(this, new pg.Client(this.#options as pg.ClientConfig), own);
    own.used = true;
    return attemptView(this, {
      connect: (callback) => super.connect(callback as (error: Error) => void),
      end: (callback) => {
        destroyClient(this);
        callback();
      },
      query: (query) => sendQuery(this, query),
    });
  }

  #becomeReady({ endpoint, roles }: OpenConnection, shared: SharedConnections, leave: () => Promise<void>): void {
    if (endpoint === undefined || !isUsable(this)) throw new ConnectionLostError(this.#settings.name);
    const { targetSessionAttrs } = this.#settings;
    const where = describeEndpoint(endpoint);
    const stopLiveness = shared.watch(new MonitoredClient(this, endpoint));
    recordStatementOutcomes(this);
    recoverPreparedStatements(this);
    onMessage<{ code?: string }>(this, 'errorMessage', (message) => {
      if (message.code === '25006') shared.suspect(message);
    });
    const stopWatching = onReadyForQuery(this, (status) => {
      if (status !== 'I' || roleFits(targetSessionAttrs, roles.role) !== false) return;
      const error = new ServerRoleError(where, targetSessionAttrs, describeRole(roles.role));
      shared.suspect(error);
      this.#finishAfterAnswer(() => error);
    });
    const state: Ready = {
      name: 'ready',
      endpoint,
      suspect: (reason) => shared.suspect(reason),
      leave: async () => {
        stopLiveness?.();
        stopWatching();
        state.retirement?.stop();
        await leave();
      },
    };
    this.#state = state;
    onEnd(this, () => {
      if (this.#state !== state) return;
      this.#state = { name: 'over', connected: true };
      // We did not ask for this end: the server may be gone.
      if (state.retirement === undefined && state.abandoned === undefined) {
        shared.suspect(new Error('Connection terminated unexpectedly'));
      }
      state.leave().catch(ignore);
    });
    // While the last message of the start-up was on its way, the Service may have been pointed elsewhere.
    const { target } = shared;
    if (target !== undefined) process.nextTick(() => this.#retire(target));
  }

  // ---- Ending

  // `query_timeout` has passed: the statement ends on the server too, and nothing waits for the connection.
  #abandon(): void {
    const state = this.#state;
    if (state.name !== 'ready' || state.endpoint === undefined || state.abandoned !== undefined) return;
    state.abandoned = requestCancel(this, state.endpoint, { clock: systemClock })
      .catch((error: unknown) => state.suspect(error))
      .then(() => destroyClient(this));
    silenceClient(this);
  }

  #retire(target: Target): Retirement['had'] | undefined {
    const state = this.#state;
    if (state.name !== 'ready' || target.externalName === state.endpoint?.target.externalName) return undefined;
    // A client that left its address had all the time that it wanted.
    if (state.hasTime) {
      state.retirement?.stop();
      delete state.retirement;
      delete state.hasTime;
    }
    return this.#drain(this.#settings.drainTimeoutMillis);
  }

  // Its address has left the target's name.
  #leave(): Retirement['had'] | undefined {
    const { drainTimeoutMillis, retireOnAddressChange } = this.#settings;
    if (retireOnAddressChange === 'all') return this.#drain(drainTimeoutMillis);
    const had = this.#drain(withoutEndMillis);
    if (this.#state.name === 'ready' && had === 'work') this.#state.hasTime = true;
    return had;
  }

  #drain(drainTimeoutMillis: number): Retirement['had'] | undefined {
    const state = this.#state;
    if (state.name !== 'ready' || state.endpoint === undefined || state.retirement !== undefined) return undefined;
    state.retirement = retireClient(this, {
      target: state.endpoint.target.externalName,
      drainTimeoutMillis,
      clock: systemClock,
      watched: true,
      finish: (error) => this.#finish(error),
      cut: () => {
        // `pg` emits the error that ended its connection; without a listener the process would end.
        if (this.listenerCount('error') === 0) this.on('error', ignore);
      },
    });
    return state.retirement.had;
  }

  // Called from within the message that ends a statement. Its caller may send the next statement while it handles the answer, and
  // others already wait behind it: nothing more is sent.
  #finishAfterAnswer(makeError: () => Error): void {
    sendNothingMore(this, makeError);
    process.nextTick(() => this.#finish(makeError()));
  }

  // The holder must learn that the client is over. Without a listener the process would end, only because of a switch.
  #finish(error: Error): void {
    if (this.#state.name !== 'ready') return;
    if (this.listenerCount('error') > 0) this.emit('error', error);
    this.end().catch(() => undefined);
  }

  async #end(): Promise<void> {
    const state = this.#state;
    switch (state.name) {
      case 'connecting':
        state.controller.abort(new Error('Connection terminated'));
        await state.over;
        return;
      case 'ready':
        this.#state = { name: 'over', connected: true };
        if (state.abandoned !== undefined) await state.abandoned;
        await Promise.all([super.end(), state.leave()]);
        return;
      case 'over':
        if (state.connected) await super.end();
        return;
      case 'new':
        await super.end();
    }
  }
}

type ClientState =
  | { readonly name: 'new' }
  | {
      readonly name: 'connecting';
      readonly controller: AbortController;
      /** Resolves when the attempt is over, in whatever way. */
      readonly over: Promise<void>;
    }
  | Ready
  | { readonly name: 'over'; readonly connected: boolean };

interface Ready {
  readonly name: 'ready';
  /** `undefined` for a plain host. */
  readonly endpoint: Endpoint | undefined;
  /** Leaves what is shared. */
  leave(): Promise<void>;
  /** Reports that its server is suspect. */
  suspect(reason: unknown): void;
  /** Set if it was given up with a statement in flight; settles when the server was asked to end that, or cannot be asked. */
  abandoned?: Promise<void>;
  /** Set when its Service was pointed elsewhere. */
  retirement?: Retirement;
  /** Set if that is because of its address, so that its work may take as long as it likes. */
  hasTime?: true;
}

function sendQuery(client: pg.Client, query: QueryArguments): unknown {
  return (pg.Client.prototype.query as (...query: QueryArguments) => unknown).call(client, ...query);
}

// ---- Answers

function answerConnect(result: Promise<pg.Client>, callback: unknown): Promise<pg.Client> | undefined {
  if (typeof callback !== 'function') return result;
  // An exception from the callback is the application's, as in `pg`, not a rejection of ours.
  result.then(
    (client) => process.nextTick(() => callback(null, client)),
    (error) => process.nextTick(() => callback(error)),
  );
  return undefined;
}

// The words of pg.
function timeoutExpiredError(cause: unknown, recentEvents: readonly RecentEvent[]): Error {
  const error = new Error('timeout expired', cause === undefined ? undefined : { cause });
  attachRecentEvents(error, recentEvents);
  return error;
}

function ignore(): void {}

/** As long as a timer can be. */
const withoutEndMillis = 2 ** 31 - 1;
