import {
  type Clock,
  ClosedError,
  type Endpoint,
  isExternalNameError,
  type PlannedSwitch,
  type Random,
  ResolutionError,
  type Target,
} from '@externalname/core';
import { splitBrainSeen } from '@externalname/core/events';
import {
  addressOf,
  beginEpoch,
  ConnectionPacing,
  describeEndpoint,
  type Epoch,
  Outage,
  ReadySessions,
  ServerHealth,
  TargetFollower,
  withDeadline,
} from '@externalname/core/internal';
import { canonicalName } from '@externalname/core/names';
import type { EndpointStatus } from '@externalname/core/targets';
import type * as pg from 'pg';
import { Connector, type OpenConnection } from '../connect/connector.ts';
import { ScramKeyCache } from '../connect/scram-key-cache.ts';
import { checkRole, roleFits } from '../connect/session-role.ts';
import { closeClient } from '../driver/closing.ts';
import { ConnectError, ConnectTimeoutError } from '../errors.ts';
import { switched, targetNotFollowed } from '../events.ts';
import { classifyFailure, type Failure } from '../failures/classify.ts';
import type { PoolSettings } from '../options.ts';
import { describeEvent, type RecentEvent, RecentEvents } from '../recent-events.ts';
import { warn } from '../warnings.ts';
import { candidateFailure } from './candidate-failure.ts';
import {
  beginAttempt,
  type ConnectionFactory,
  type ConnectionRequest,
  type FactoryHost,
  type MadeConnection,
  proofTimeoutMillis,
  type Refusal,
} from './connection-factory.ts';
import type { ServiceDialer } from './service-dialer.ts';

/** What the factory of a Service's connections needs from its host. It is never called inside a call that the host makes. */
export interface ServiceHost extends FactoryHost {
  /** Called for each target that becomes current, including the first; before `switched`. */
  follows?(target: Target): void;
  /** Rejects with the reason if a server whose role fits is not to be used. */
  readonly accept?: ((connection: OpenConnection) => Promise<void>) | undefined;
  /** The Service points elsewhere from now on. */
  switched(to: SwitchedTarget): void;
  /** An address was lost, while others serve. */
  addressLost?(endpoint: Endpoint): void;
  /** The pool was about to move to another target, but is not any more. */
  candidateDropped?(): void;
  /** The source announced a switch, or gave it up. Returns how many sessions are to be opened at the new target meanwhile. */
  planned?(plan: PlannedSwitch | undefined): number;
}

/** A switch, and what it begins with. */
export interface SwitchedTarget {
  readonly target: Target;
  readonly previous: Target;
  readonly epoch: Epoch;
  /** The connection that proved the target, if there is one. */
  readonly first: MadeConnection | undefined;
  /** From the moment when the source named the target to the move, in milliseconds. */
  readonly decisionMillis: number;
}

/** Tells of a switch: how many connections had no work, and how many had. */
export function tellSwitched(name: string, to: SwitchedTarget, idle: number, draining: number): void {
  const { target, previous, epoch, decisionMillis } = to;
  const [from, { source, externalName }] = [previous.externalName, target];
  switched.publish(() => {
    return { name, from, to: externalName, source, epoch: epoch.number, idle, draining, decisionMillis };
  });
}

/**
 * Makes the connections of a pool for a Service: follows its target, paces the attempts, and keeps trying on a caller's
 * behalf while failures say that another attempt may help.
 */
export class ServiceConnections implements ConnectionFactory {
  readonly #settings: PoolSettings;
  readonly #host: ServiceHost;
  readonly #clock: Clock;
  readonly #pacing: ConnectionPacing;
  readonly #connector: Connector;
  readonly #recent: RecentEvents;
  readonly #follower: TargetFollower;
  readonly #dialer: ServiceDialer;
  readonly #ready: ReadySessions<OpenConnection>;
  readonly #health: ServerHealth;
  #epoch = beginEpoch(0);
  #refusal: Refusal | undefined;
  #closed = false;
  readonly #outage: Outage;

  constructor(
    settings: PoolSettings,
    dialer: ServiceDialer,
    host: ServiceHost,
    dependencies: { clock: Clock; random: Random },
  ) {
    this.#settings = settings;
    this.#host = host;
    this.#clock = dependencies.clock;
    this.#dialer = dialer;
    this.#health = new ServerHealth(dependencies.clock);
    this.#recent = new RecentEvents(settings.name, dependencies.clock, settings.secrets);
    this.#pacing = new ConnectionPacing(
      {
        spreadMillis: settings.reconnectSpreadMillis,
        outageIntervalMillis: outageIntervalMillis,
        longestOutageIntervalMillis: longestOutageIntervalMillis,
      },
      dependencies,
    );
    this.#connector = new Connector(
      {
        createClient: () => host.createClient(),
        name: settings.name,
        wanted: settings,
        accept: host.accept,
        attemptTimeoutMillis: settings.attemptTimeoutMillis,
        demands: (client, where) => host.demands(client, where),
        scramKeys: new ScramKeyCache(),
        recent: this.#recent,
        clock: dependencies.clock,
      },
      dialer,
    );
    this.#outage = new Outage({
      clock: this.#clock,
      serving: () => this.#health.serving,
      // Never rejects, and its result arrives through the subscription.
      look: () => void this.#follower.refresh().catch(() => undefined),
      tryAgain: (signal) => this.#tryAgain(signal),
      waitedLong: (millis) => this.#warnOfWait(millis),
    });
    this.#ready = new ReadySessions(
      { targets: exactTargets(settings), count: settings.readySessions, warmUp: settings.warmUp },
      {
        open: (target, signal) => this.#openReady(target, signal),
        prove: (connection, signal) => this.#proveReady(connection, signal),
        isFit: ({ roles }) => roleFits(settings.targetSessionAttrs, roles.role) === true,
        suspectedAt: () => this.#health.suspectedAt,
        serves: () => this.#health.serving,
        close: (client) => closeClient(client, this.#clock),
        isEarly: (error) => isExternalNameError(error) && error.code === 'ERR_EXTERNALNAME_SERVER_ROLE',
        clock: this.#clock,
      },
    );
    this.#follower = new TargetFollower(
      { source: dialer.source, policy: dialer.policy, vetIntervalMillis: outageIntervalMillis },
      {
        vet: (target, signal) => this.#ready.vet(target, signal, () => this.#connectTo(target, signal)),
        judge: candidateFailure,
        move: (target, previous, decisionMillis) => this.#move(target, previous, decisionMillis),
        currentServes: () => this.#health.serving,
        accepted: () => {
          this.#refusal = undefined;
        },
        refused: (target, error) => this.#refused(target, error),
        candidateDropped: () => host.candidateDropped?.(),
        planned: (plan) => this.#planned(plan),
        looked: (answer) => this.#recent.record({ event: 'source', ...answer }),
      },
      dependencies.clock,
    );
  }

  get addresses(): readonly EndpointStatus[] {
    return this.#dialer.balancer?.status() ?? [];
  }

  get target(): Target | undefined {
    return this.#follower.target;
  }

  get candidate(): Target | undefined {
    return this.#follower.candidate;
  }

  get targetSince(): number | undefined {
    return this.#follower.targetSince;
  }

  get confirmedMillisAgo(): number | undefined {
    return this.#follower.confirmedMillisAgo;
  }

  get refusal(): Refusal | undefined {
    return this.#refusal;
  }

  get epoch(): Epoch {
    return this.#epoch.epoch;
  }

  get serving(): boolean {
    return this.#health.seemsToServe;
  }

  get servedAt(): number | undefined {
    return this.#health.servedAt;
  }

  get inOutage(): boolean {
    return this.#pacing.inOutage;
  }

  get readySessions(): Readonly<Record<string, number>> {
    return this.#ready.counts();
  }

  // In an outage it takes turns like any other attempt, or a server that does not have the role yet would be asked as fast as it answers.
  get hasReadySession(): boolean {
    const { target } = this.#follower;
    return target !== undefined && !this.#pacing.inOutage && this.#ready.waitingAt(target.externalName) > 0;
  }

  get suspectedAt(): number {
    return this.#health.suspectedAt;
  }

  get recentEvents(): readonly RecentEvent[] {
    return this.#recent.list();
  }

  async connect(request: ConnectionRequest): Promise<MadeConnection> {
    // `undefined` is only returned for an attempt that is not needed.
    return (await this.#connectFor(request, undefined)) as MadeConnection;
  }

  connectIfNeeded(request: ConnectionRequest, needed: () => boolean): Promise<MadeConnection | undefined> {
    return this.#connectFor(request, needed);
  }

  /** Opens a session outside the pool, whatever the server's role. */
  connectMonitor(endpoint: Endpoint, signal: AbortSignal, createClient?: () => pg.Client): Promise<OpenConnection> {
    return this.#connector.connectMonitor(endpoint, signal, createClient);
  }

  /** Looks up where the Service points, past every cache. */
  suspect(reason?: unknown, endpoint?: Endpoint): void {
    if (this.#closed) return;
    if (endpoint !== undefined && this.#othersServe(endpoint)) {
      this.#recent.record({ event: 'lost', ...placeOf(endpoint), error: reason });
      this.#dialer.report(endpoint, true);
      this.#host.addressLost?.(endpoint);
      return;
    }
    if (endpoint !== undefined) this.#dialer.lost?.(endpoint);
    if (reason !== undefined) {
      this.#recent.record({ event: 'lost', ...(this.target && { target: this.target.externalName }), error: reason });
    }
    this.#health.suspect();
    this.#pacing.suspected();
    this.#follower.currentLost();
    this.#outage.begin();
  }

  confirmed(at?: number): void {
    this.#health.confirmed(at);
  }

  /**
   * Opens a connection to one address of the current target, for no caller. `undefined` if the Service points elsewhere by then.
   *
   * @throws why there is no connection
   */
  async connectAt(endpoint: Endpoint, signal: AbortSignal): Promise<MadeConnection | undefined> {
    const { epoch } = this.#epoch;
    const { target } = this.#follower;
    if (target === undefined || endpoint.target.externalName !== target.externalName) return undefined;
    const report = beginAttempt(this.#settings.name, target.externalName, this.#clock);
    try {
      const connection = await this.#connector.connect(target, { signal, at: endpoint });
      report({ made: connection });
      if (!epoch.over.aborted) return { ...connection, epoch };
      closeClient(connection.client, this.#clock);
      return undefined;
    } catch (error) {
      report({ error });
      throw error;
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#outage.close();
    this.#follower.close();
    this.#epoch.end(new ClosedError('the pool'));
    this.#ready.close();
    this.#connector.close();
    await this.#dialer.close();
  }

  async #connectFor(
    request: ConnectionRequest,
    needed: (() => boolean) | undefined,
  ): Promise<MadeConnection | undefined> {
    const served = this.#outage.callerWaits();
    try {
      return await this.#connectInTime(request, needed);
    } finally {
      served();
    }
  }

  // Tries again for as long as the request's signal allows and failures say that it may help.
  async #connectInTime(
    request: ConnectionRequest,
    needed: (() => boolean) | undefined,
  ): Promise<MadeConnection | undefined> {
    for (;;) {
      let hasTurn = false;
      try {
        const known = await this.#follower.current(request.signal);
        const ready = await this.#adoptReady(known, request);
        if (ready !== undefined) return ready;
        await this.#pacing.turn(request.signal);
        hasTurn = true;
        if (needed?.() === false) {
          this.#pacing.passed();
          return undefined;
        }
        // While the caller waited for its turn, the Service may have been pointed elsewhere.
        const made = await this.#attempt(this.#follower.target ?? known, request.createClient);
        if (made !== undefined) return made;
      } catch (error) {
        this.#health.failed();
        const another = this.#worthAnother(error, classifyFailure(error, 'connecting'));
        // A turn is always returned, whatever happened to the caller, or no other caller would get one.
        if (hasTurn && !another) this.#pacing.passed();
        if (hasTurn && another) this.#pacing.failed();
        if (request.signal.aborted) throw request.signal.reason;
        // The result of an attempt is recorded where it was made.
        if (!hasTurn) this.#recent.record({ event: 'source', error });
        request.lastError = error;
        if (!another) throw error;
        if (!hasTurn) this.#pacing.failed();
        this.suspect();
      }
    }
  }

  // For no caller: only to know whether a server serves again.
  async #tryAgain(signal: AbortSignal): Promise<void> {
    try {
      const known = await this.#follower.current(signal);
      await this.#pacing.turn(signal);
      // A caller may have found it meanwhile.
      if (this.#health.serving) {
        this.#pacing.passed();
        return;
      }
      try {
        const made = await this.#attempt(this.#follower.target ?? known);
        if (made !== undefined) closeClient(made.client, this.#clock);
      } catch (error) {
        const { retryable } = classifyFailure(error, 'connecting');
        if (retryable) this.#pacing.failed();
        else this.#pacing.passed();
      }
      // The result is recorded where the attempt was made.
    } catch {}
  }

  // `undefined` if the Service points elsewhere now: start over.
  async #attempt(target: Target, createClient?: () => pg.Client): Promise<MadeConnection | undefined> {
    const { epoch } = this.#epoch;
    try {
      const connection = await this.#connectTo(target, epoch.over, createClient);
      if (!epoch.over.aborted) {
        this.#health.reached(connection.endpoint && addressOf(connection.endpoint));
        this.#pacing.succeeded();
        this.#ready.poolIsAt(target.externalName);
        return { ...connection, epoch };
      }
      closeClient(connection.client, this.#clock);
    } catch (error) {
      if (!epoch.over.aborted || this.#closed) throw error;
    }
    this.#pacing.passed();
    return undefined;
  }

  async #connectTo(target: Target, signal: AbortSignal, createClient?: () => pg.Client): Promise<OpenConnection> {
    const report = beginAttempt(this.#settings.name, target.externalName, this.#clock);
    try {
      const fresh = this.#pacing.inOutage;
      const ready = createClient === undefined ? await this.#ready.take(target.externalName, signal) : undefined;
      const connection = ready ?? (await this.#connector.connect(target, { signal, fresh, createClient }));
      report({ made: connection });
      return connection;
    } catch (error) {
      report({ error });
      throw error;
    }
  }

  #othersServe({ address, port }: Endpoint): boolean {
    return this.addresses.some(
      (each) => each.connections > 0 && each.share > 0 && !(each.address === address && each.port === port),
    );
  }

  #worthAnother(error: unknown, failure: Failure): boolean {
    if (this.#closed || this.#settings.failoverTimeoutMillis === 0 || !failure.retryable) return false;
    if (failure.kind !== 'name' || this.#health.everServed) return true;
    // At the start, "no such host" is a mistake to report; a missing answer may pass.
    return !(error instanceof ResolutionError) || error.failure === 'unavailable';
  }

  // A ready session needs no turn, because its server has accepted it already. `undefined` if none is usable.
  async #adoptReady({ externalName }: Target, request: ConnectionRequest): Promise<MadeConnection | undefined> {
    if (request.createClient !== undefined || !this.hasReadySession) return undefined;
    const { epoch } = this.#epoch;
    let connection: OpenConnection | undefined;
    try {
      connection = await this.#ready.take(externalName, request.signal);
    } catch {
      request.signal.throwIfAborted();
      return undefined;
    }
    if (connection === undefined) return undefined;
    if (this.#follower.target?.externalName === externalName && !epoch.over.aborted) {
      this.#health.reached();
      return { ...connection, epoch };
    }
    closeClient(connection.client, this.#clock);
    return undefined;
  }

  async #openReady(target: Target, signal: AbortSignal): Promise<OpenConnection> {
    const endpoints = await this.#dialer.endpoints(target, { signal });
    const errors: unknown[] = [];
    for (const endpoint of endpoints) {
      try {
        const session = await this.#connector.connectMonitor(endpoint, signal);
        this.#lookForSecondWriter(target, session);
        return session;
      } catch (error) {
        signal.throwIfAborted();
        errors.push(error);
      }
    }
    throw new ConnectError(target.externalName, errors);
  }

  // A second server that says that it takes writes. It is recognized by its address, because one server may have two names.
  #lookForSecondWriter({ externalName }: Target, { endpoint, roles }: OpenConnection): void {
    const current = this.target?.externalName;
    const { targetSessionAttrs, name } = this.#settings;
    const writes = targetSessionAttrs === 'read-write' || targetSessionAttrs === 'primary';
    const { inHotStandby, defaultReadOnly } = roles.role;
    const takesWrites = inHotStandby === false && defaultReadOnly === false;
    const isElsewhere = endpoint !== undefined && addressOf(endpoint) !== this.#health.address;
    if (!writes || !takesWrites || !isElsewhere || !this.#health.serving) return;
    if (current === undefined || current === externalName) return;
    splitBrainSeen.publish(() => ({ name, targets: [current, externalName] }));
  }

  // The role of a session dates from when it was opened, until its server has answered something.
  async #proveReady({ client, roles, endpoint }: OpenConnection, signal: AbortSignal): Promise<void> {
    const where = endpoint === undefined ? this.#settings.name : describeEndpoint(endpoint);
    await withDeadline(
      async () => {
        await client.query('');
        await checkRole(client, roles, where, this.#settings);
      },
      {
        signal,
        timeoutMillis: proofTimeoutMillis,
        onTimeout: () => new ConnectTimeoutError(where, proofTimeoutMillis),
        clock: this.#clock,
      },
    );
  }

  #planned(plan: PlannedSwitch | undefined): void {
    const count = this.#host.planned?.(plan) ?? 0;
    const { target } = this;
    const isWorthIt = plan?.to !== undefined && target !== undefined && count > 0 && !this.#closed;
    this.#ready.plan(isWorthIt ? { ...target, externalName: canonicalName(plan.to) } : undefined, count);
  }

  #move(target: Target, previous: Target | undefined, decisionMillis: number): void {
    const vetted = this.#ready.takeVetted();
    this.#refusal = undefined;
    const { externalName, source } = target;
    this.#host.follows?.(target);
    if (previous === undefined) {
      this.#recent.record({ event: 'source', target: externalName, source });
      return;
    }
    this.#recent.record({ event: 'switch', target: externalName, source, from: previous.externalName });
    const ended = this.#epoch;
    this.#epoch = beginEpoch(ended.epoch.number + 1);
    const { epoch } = this.#epoch;
    this.#health.targetChanged(vetted !== undefined);
    this.#host.switched({ target, previous, epoch, first: vetted && { ...vetted, epoch }, decisionMillis });
    ended.end(new Error(`the Service points at ${externalName} now`));
    if (vetted !== undefined) this.#ready.poolIsAt(externalName);
    if (vetted !== undefined) this.#pacing.switched();
    else this.#pacing.hurry();
  }

  #warnOfWait(waitedMillis: number): void {
    const { name, failoverTimeoutMillis } = this.#settings;
    const tried = this.#recent.list().slice(-3).map(describeEvent);
    warn(
      'EXTERNALNAME_NO_SERVER',
      `${name}: callers have been waiting for ${Math.round(waitedMillis / 1_000)} s, because no usable server was found. ` +
        `Each waits for up to ${failoverTimeoutMillis} ms. NODE_DEBUG=externalname prints each step.`,
      tried.length === 0 ? undefined : ['What was tried last:', ...tried].join('\n'),
    );
  }

  #refused(target: Target, error: unknown): void {
    const { kind } = classifyFailure(error, 'connecting');
    this.#refusal = { target: target.externalName, error, kind };
    const stays = this.target?.externalName;
    const from = stays === undefined ? undefined : { from: stays };
    this.#recent.record({ event: 'refuse', target: target.externalName, ...from, error });
    targetNotFollowed.publish(() => ({ name: this.#settings.name, target: target.externalName, stays, error, kind }));
  }
}

function placeOf(endpoint: Endpoint) {
  return { target: endpoint.target.externalName, address: addressOf(endpoint) };
}

/** The hosts that the Service may come to point at, as far as the allow-list names them. */
function exactTargets({ allowedTargets, name }: PoolSettings): readonly Target[] {
  if (!Array.isArray(allowedTargets)) return [];
  return allowedTargets
    .filter((entry: string) => !entry.includes('*'))
    .map((entry: string) => ({
      externalName: canonicalName(entry),
      via: [name],
      version: '',
      source: 'static',
      stale: false,
    }));
}

// With the jitter that pacing adds, at most three attempts a second.
const outageIntervalMillis = 334;
const longestOutageIntervalMillis = 1_000;
