import type { Clock, Endpoint } from '@externalname/core';
import { addressOf, describeEndpoint } from '@externalname/core/internal';
import type { OpenConnection } from '../connect/connector.ts';
import { readPosition, type ServerPosition } from '../connect/wal-position.ts';
import { ReplicaLagError } from '../errors.ts';
import { replicaChanged } from '../events.ts';
import type { ReaderSettings } from '../settings/reader.ts';

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

/** A connection, as far as it is checked. */
export interface CheckedConnection extends OpenConnection {
  /** When its server was last checked, in `now()` milliseconds. */
  checkedAt: number;
}

/** What {@link Replicas} needs. */
export interface ReplicasParts {
  readonly name: string;
  readonly settings: ReaderSettings;
  readonly clock: Clock;
  /** Called for an address that should have no connections: others are preferred. */
  readonly passedOver: ((endpoint: Endpoint) => void) | undefined;
  /** Asks the primary where it is. */
  position(): Promise<ServerPosition>;
}

/**
 * Keeps reads on standbys that are near enough to the primary. A connection is checked when it is new, and before it is handed out if its
 * last check is older than `lagCheckMillis`. So a check costs a round trip for each connection and interval, and not for each query.
 *
 * How old the data of a standby is follows from where the primary was at what time, as this process saw it. The time of the last
 * transaction that a standby has replayed would make each standby of an idle primary look late, and compare the clocks of two machines.
 */
export class Replicas {
  readonly #parts: ReplicasParts;
  readonly #seen = new Map<string, { readonly status: Omit<ReplicaStatus, 'checkedMillisAgo'>; readonly at: number }>();
  /** Where the primary was, the oldest first. */
  #primary: { readonly at: number; readonly position: ServerPosition }[] = [];
  #asking: Promise<void> | undefined;
  #askedAt = Number.NEGATIVE_INFINITY;
  /** When a connection to the primary was last given up, to look whether a standby serves again. */
  #lookedAt = Number.NEGATIVE_INFINITY;
  /** When a standby was last seen within the limits. */
  #standbyAt = Number.NEGATIVE_INFINITY;

  constructor(parts: ReplicasParts) {
    this.#parts = parts;
  }

  status(): readonly ReplicaStatus[] {
    const now = this.#parts.clock.now();
    return [...this.#seen.values()].map(({ status, at }) => ({ ...status, checkedMillisAgo: now - at }));
  }

  /** Whether a connection must be checked before it is handed out. */
  isDue({ checkedAt, roles }: CheckedConnection): boolean {
    const { clock, settings } = this.#parts;
    if (clock.now() - checkedAt <= settings.lagCheckMillis) return false;
    return this.#isLimited || roles.role.inHotStandby !== true;
  }

  /**
   * Checks an open connection with one round trip. `false` if another server is, or may be, preferred to its own: close it.
   *
   * @throws why the server did not answer
   */
  async check(connection: CheckedConnection): Promise<boolean> {
    const { client, endpoint, roles, checkedAt } = connection;
    const now = this.#parts.clock.now();
    connection.checkedAt = now;
    if (!this.#isLimited || roles.role.inHotStandby !== true) await client.query('');
    try {
      await this.accept(connection);
    } catch (error) {
      if (error instanceof ReplicaLagError) return false;
      throw error;
    }
    if (roles.role.inHotStandby === true) return true;
    // A connection to the primary is good enough while there is no standby. Now and then one of them is given up, to look.
    const hasStandby = this.#standbyAt > checkedAt;
    if (hasStandby && endpoint !== undefined) this.#parts.passedOver?.(endpoint);
    if (hasStandby || now - this.#lookedAt < lookMillis) return !hasStandby;
    this.#lookedAt = now;
    return false;
  }

  /** Checks a new connection. @throws ReplicaLagError `ERR_EXTERNALNAME_REPLICA_LAG` */
  async accept({ client, endpoint, roles }: OpenConnection): Promise<void> {
    if (roles.role.inHotStandby !== true || endpoint === undefined) return;
    const { clock, settings } = this.#parts;
    if (this.#isLimited) {
      await this.#askPrimary();
      const status = this.#judge(endpoint, await readPosition(client));
      const { lagBytes = 0, lagMillis } = status;
      if (status.lagging) throw new ReplicaLagError(describeEndpoint(endpoint), lagBytes, lagMillis, settings);
    }
    this.#standbyAt = clock.now();
  }

  get #isLimited(): boolean {
    const { maxLagBytes, maxLagMillis } = this.#parts.settings;
    return Number.isFinite(maxLagBytes) || Number.isFinite(maxLagMillis);
  }

  // Where it is now costs the first caller an answer; later ones use what was heard last, for a primary that does not answer must not
  // delay reads.
  #askPrimary(): Promise<void> | undefined {
    const { clock, settings, position } = this.#parts;
    if (clock.now() - this.#askedAt < settings.lagCheckMillis)
      return this.#primary.length === 0 ? this.#asking : undefined;
    this.#askedAt = clock.now();
    this.#asking = position().then(
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

  #judge(endpoint: Endpoint, { lsn }: ServerPosition): Omit<ReplicaStatus, 'checkedMillisAgo'> {
    const { clock, settings, name } = this.#parts;
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
    if (before !== lagging) replicaChanged.publish(() => ({ name, target: endpoint.target.externalName, ...status }));
    return status;
  }
}

const lookMillis = 5_000;
const longestHistoryMillis = 600_000;
