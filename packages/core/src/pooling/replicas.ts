import type { Clock } from '../clock.ts';
import { addressOf } from '../connect/index.ts';
import type { Endpoint } from '../targets/index.ts';
import type { ReaderSettings } from './reader-options.ts';

/** A standby, as a reader saw it last. */
export interface ReplicaStatus {
  /** `address:port` */
  readonly address: string;
  /** How many bytes of the primary's write-ahead log it has not replayed; `undefined` if the primary has not said where it is. */
  readonly lagBytes: number | undefined;
  /** How old its data is at least, in milliseconds; 0 if it had everything that the primary had when that was last asked. */
  readonly lagMillis: number;
  /** Whether it gets no reads, because it lags more than the reader allows. */
  readonly lagging: boolean;
  /** How long ago that was, in milliseconds. */
  readonly checkedMillisAgo: number;
}

/** How far a server has a log. After a change of primaries the timeline is another one. @internal */
export interface LogPosition {
  readonly timeline: number;
  readonly lsn: bigint;
}

/** A connection, as far as {@link Replicas} checks it. @internal */
export interface ReplicaConnection {
  readonly endpoint: Endpoint | undefined;
  /** When its server was last checked, in `now()` milliseconds. */
  checkedAt: number;
}

/** What {@link Replicas} needs. @internal */
export interface ReplicasHost<Made, Connection extends Made & ReplicaConnection> {
  readonly settings: ReaderSettings;
  readonly clock: Clock;
  /** Called for an address that should have no connections: others are preferred. */
  readonly passedOver: ((endpoint: Endpoint) => void) | undefined;
  /** Asks the primary where it is. */
  primaryPosition(): Promise<LogPosition>;
  /** Asks a standby where it is. */
  positionOf(made: Made): Promise<LogPosition>;
  /** Whether its server is a standby, as far as it has said. */
  isStandby(made: Made): boolean;
  /** Asks the server of a connection for any answer, with which it says its role. */
  ask(connection: Connection): Promise<void>;
  /** Tells that a standby lags more than the reader allows, or does not any more. */
  changed(endpoint: Endpoint, status: Omit<ReplicaStatus, 'checkedMillisAgo'>): void;
  /** Makes the error that refuses a standby. */
  tooFarBehind(endpoint: Endpoint, status: Omit<ReplicaStatus, 'checkedMillisAgo'>): Error;
}

/**
 * Keeps reads on standbys that are near enough to the primary. A connection is checked when it is new, and before it is handed out if its
 * last check is older than `lagCheckMillis`. So a check costs a round trip for each connection and interval, and not for each query.
 *
 * How old the data of a standby is follows from where the primary was at what time, as this process saw it. The time of the last
 * transaction that a standby has replayed would make each standby of an idle primary look late, and compare the clocks of two machines.
 *
 * @internal
 */
export class Replicas<
  Made extends Pick<ReplicaConnection, 'endpoint'>,
  Connection extends Made & ReplicaConnection = Made & ReplicaConnection,
> {
  readonly #host: ReplicasHost<Made, Connection>;
  readonly #seen = new Map<string, { readonly status: Omit<ReplicaStatus, 'checkedMillisAgo'>; readonly at: number }>();
  /** Where the primary was, the oldest first. */
  #primary: { readonly at: number; readonly position: LogPosition }[] = [];
  #asking: Promise<void> | undefined;
  #askedAt = Number.NEGATIVE_INFINITY;
  /** When a connection to the primary was last given up, to look whether a standby serves again. */
  #lookedAt = Number.NEGATIVE_INFINITY;
  /** When a standby was last seen within the limits. */
  #standbyAt = Number.NEGATIVE_INFINITY;

  constructor(host: ReplicasHost<Made, Connection>) {
    this.#host = host;
  }

  status(): readonly ReplicaStatus[] {
    const now = this.#host.clock.now();
    return [...this.#seen.values()].map(({ status, at }) => ({ ...status, checkedMillisAgo: now - at }));
  }

  /** Whether a connection must be checked before it is handed out. */
  isDue(connection: Connection): boolean {
    const { clock, settings, isStandby } = this.#host;
    if (clock.now() - connection.checkedAt <= settings.lagCheckMillis) return false;
    return this.#isLimited || !isStandby(connection);
  }

  /**
   * Checks an open connection with one round trip. `false` if another server is, or may be, preferred to its own: close it.
   *
   * @throws why the server did not answer
   */
  async check(connection: Connection): Promise<boolean> {
    const { clock, isStandby, ask, passedOver } = this.#host;
    const { endpoint, checkedAt } = connection;
    const now = clock.now();
    connection.checkedAt = now;
    if (!this.#isLimited || !isStandby(connection)) await ask(connection);
    if ((await this.#refusal(connection)) !== undefined) return false;
    if (isStandby(connection)) return true;
    // A connection to the primary is good enough while there is no standby. Now and then one of them is given up, to look.
    const hasStandby = this.#standbyAt > checkedAt;
    if (hasStandby && endpoint !== undefined) passedOver?.(endpoint);
    if (hasStandby || now - this.#lookedAt < lookMillis) return !hasStandby;
    this.#lookedAt = now;
    return false;
  }

  /** Checks a new connection. @throws what `tooFarBehind()` makes */
  async accept(made: Made): Promise<void> {
    const refusal = await this.#refusal(made);
    if (refusal !== undefined) throw refusal;
  }

  async #refusal(made: Made): Promise<Error | undefined> {
    const { clock, isStandby, positionOf, tooFarBehind } = this.#host;
    const { endpoint } = made;
    if (endpoint === undefined || !isStandby(made)) return undefined;
    if (this.#isLimited) {
      await this.#askPrimary();
      const status = this.#judge(endpoint, await positionOf(made));
      if (status.lagging) return tooFarBehind(endpoint, status);
    }
    this.#standbyAt = clock.now();
    return undefined;
  }

  get #isLimited(): boolean {
    const { maxLagBytes, maxLagMillis } = this.#host.settings;
    return Number.isFinite(maxLagBytes) || Number.isFinite(maxLagMillis);
  }

  // Where it is now costs the first caller an answer; later ones use what was heard last, for a primary that does not answer must not
  // delay reads.
  #askPrimary(): Promise<void> | undefined {
    const { clock, settings, primaryPosition } = this.#host;
    if (clock.now() - this.#askedAt < settings.lagCheckMillis)
      return this.#primary.length === 0 ? this.#asking : undefined;
    this.#askedAt = clock.now();
    this.#asking = primaryPosition().then(
      (found) => {
        const at = clock.now();
        const isOther = this.#primary.at(-1)?.position.timeline !== found.timeline;
        // What an old primary wrote last may be lost, and no standby will ever have it.
        if (isOther) this.#primary = [];
        const oldest = at - Math.min(settings.maxLagMillis, longestHistoryMillis) - settings.lagCheckMillis;
        this.#primary = [...this.#primary.filter((each) => each.at >= oldest), { at, position: found }];
      },
      () => undefined,
    );
    return this.#primary.length === 0 ? this.#asking : undefined;
  }

  #judge(endpoint: Endpoint, { lsn }: LogPosition): Omit<ReplicaStatus, 'checkedMillisAgo'> {
    const { clock, settings, changed } = this.#host;
    const now = clock.now();
    const address = addressOf(endpoint);
    const missing = this.#primary.find(({ position }) => position.lsn > lsn);
    const last = this.#primary.at(-1)?.position.lsn;
    const lagBytes = last === undefined ? undefined : Math.max(0, Number(last - lsn));
    const lagMillis = missing === undefined ? 0 : now - missing.at;
    const lagging = (lagBytes ?? 0) > settings.maxLagBytes || lagMillis > settings.maxLagMillis;
    const status = { address, lagBytes, lagMillis, lagging };
    const before = this.#seen.get(address)?.status.lagging ?? false;
    this.#seen.set(address, { status, at: now });
    if (before !== lagging) changed(endpoint, status);
    return status;
  }
}

const lookMillis = 5_000;
const longestHistoryMillis = 600_000;
