import type { Clock } from '@externalname/core';
import { inBackground, printable, sleep } from '@externalname/core/internal';
import { KubernetesRefusedError } from '@externalname/kubernetes';
import {
  attemptOn,
  isText,
  isVersion,
  type KubernetesApi,
  objectPath,
  record,
} from '@externalname/kubernetes/internal';
import type { LeaderRecord } from '../confirm/confirmation.ts';
import { LeaseLostError } from '../errors.ts';
import { followerLease } from '../events.ts';

/** See {@link SwitchLease}. */
export interface LeaseSettings {
  readonly name: string;
  readonly identity: string;
  readonly durationMillis: number;
  readonly requestTimeoutMillis: number;
}

/** What was read of the Lease. */
interface Seen {
  readonly resourceVersion: string;
  readonly holder: string;
  readonly durationMillis: number;
  readonly transitions: number;
  readonly acquireTime: string | undefined;
  readonly record: LeaderRecord | undefined;
  readonly annotations: Readonly<Record<string, unknown>>;
  /** When this version was first seen, by the clock of this process: clocks of other machines are not compared. */
  readonly at: number;
}

/**
 * A Lease of `coordination.k8s.io`, as client-go's leader election uses it: one replica of a follower holds it, and it alone switches. What was confirmed
 * last is kept in its annotations, so that the next holder knows the timeline that must not go back.
 */
export class SwitchLease {
  readonly name: string;
  readonly #api: KubernetesApi;
  readonly #namespace: () => Promise<string>;
  readonly #settings: LeaseSettings;
  readonly #clock: Clock;
  readonly #onChange: () => void;
  readonly #life = new AbortController();
  #over: Promise<void> | undefined;
  #seen: Seen | undefined;
  #term: { readonly controller: AbortController; expires: () => void } | undefined;
  /** Requests one after the other: a renewal for a switch and the one of the clock must not meet. */
  #turn: Promise<unknown> = Promise.resolve();
  #toKeep: LeaderRecord | undefined;

  constructor(
    api: KubernetesApi,
    namespace: () => Promise<string>,
    settings: LeaseSettings,
    clock: Clock,
    onChange: () => void,
  ) {
    this.name = settings.name;
    this.#api = api;
    this.#namespace = namespace;
    this.#settings = settings;
    this.#clock = clock;
    this.#onChange = onChange;
  }

  /** Fires when this replica must not switch any more; undefined while it does not hold the Lease. */
  get term(): AbortSignal | undefined {
    return this.#term?.controller.signal;
  }

  /** Who holds it, as far as it was seen. */
  get holder(): string | undefined {
    return this.#seen?.holder;
  }

  /** The leader that a holder confirmed last. */
  get record(): LeaderRecord | undefined {
    return this.#toKeep ?? this.#seen?.record;
  }

  /** Keeps the record in the Lease, with the next renewal. */
  keep(leader: LeaderRecord): void {
    this.#toKeep = leader;
  }

  start(): void {
    this.#over ??= inBackground(() => this.#run());
  }

  /** Renews it now. Rejects with {@link LeaseLostError} if the server does not confirm that this replica holds it. */
  async confirm(signal: AbortSignal): Promise<void> {
    if (this.#term === undefined) throw new LeaseLostError(this.name, 'another replica holds it');
    await this.#once(signal);
    if (this.#term === undefined)
      throw new LeaseLostError(this.name, `${this.holder ?? 'another replica'} holds it now`);
  }

  /** Gives it back, so that another replica does not have to wait. */
  async stop(): Promise<void> {
    this.#life.abort(new LeaseLostError(this.name, 'this replica was closed'));
    await this.#over;
    await this.#turn.catch(() => undefined);
    if (this.#term === undefined) return;
    this.#end('this replica was closed');
    const seen = this.#seen;
    if (seen === undefined) return;
    await this.#write(
      seen,
      { holder: '', durationMillis: 1_000 },
      AbortSignal.timeout(this.#settings.requestTimeoutMillis),
    ).catch(() => undefined);
  }

  async #run(): Promise<void> {
    const { signal } = this.#life;
    while (!signal.aborted) {
      const failed = await this.#once(signal).then(
        () => false,
        () => true,
      );
      // As client-go: a holder renews three times in the life of the Lease, the others look a little more often.
      const pause = this.#settings.durationMillis / (failed || this.#term === undefined ? 7 : 3);
      await sleep(pause, { signal, clock: this.#clock }).catch(() => undefined);
    }
  }

  /** Takes it, renews it, or sees that another holds it. */
  #once(signal: AbortSignal): Promise<void> {
    const turn = this.#turn.catch(() => undefined).then(() => this.#takeOrRenew(signal));
    this.#turn = turn;
    return turn;
  }

  async #takeOrRenew(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const startedAt = this.#clock.now();
    const { identity, durationMillis } = this.#settings;
    if (this.#term === undefined || this.#seen === undefined) {
      await this.#look(signal);
      const seen = this.#seen;
      const isFree =
        seen === undefined ||
        seen.holder === '' ||
        seen.holder === identity ||
        startedAt - seen.at > seen.durationMillis;
      if (!isFree) return;
    }
    try {
      await this.#write(this.#seen, { holder: identity, durationMillis }, signal);
    } catch (error) {
      const isRace = error instanceof KubernetesRefusedError && (error.status === 409 || error.status === 404);
      if (!isRace) throw error;
      await this.#look(signal);
      // A change that does not concern the holder loses nothing.
      if (this.#seen?.holder === identity && this.#term !== undefined) return this.#takeOrRenew(signal);
      this.#end(`${this.#seen?.holder || 'another replica'} took it`);
      return;
    }
    this.#begin(startedAt);
  }

  #begin(startedAt: number): void {
    const isNew = this.#term === undefined;
    const controller = this.#term?.controller ?? new AbortController();
    this.#term?.expires();
    // Before another replica may take it, which counts from when it saw the renewal: that is later than it was sent.
    const left = startedAt + (this.#settings.durationMillis * 2) / 3 - this.#clock.now();
    const timer = this.#clock.schedule(() => this.#end('it could not be renewed in time'), Math.max(0, left));
    this.#term = { controller, expires: () => timer.cancel() };
    if (!isNew) return;
    followerLease.publish(() => ({ lease: this.name, identity: this.#settings.identity, held: true }));
    this.#onChange();
  }

  #end(detail: string): void {
    const term = this.#term;
    if (term === undefined) return;
    this.#term = undefined;
    term.expires();
    term.controller.abort(new LeaseLostError(this.name, detail));
    followerLease.publish(() => ({ lease: this.name, identity: this.#settings.identity, held: false, detail }));
    this.#onChange();
  }

  async #look(signal: AbortSignal): Promise<void> {
    const namespace = await this.#namespace();
    try {
      const answer = await this.#api.json({
        attempt: attemptOn(leases, 'get', { name: this.name, namespace }),
        path: objectPath(leases, namespace, this.name),
        timeoutMillis: this.#settings.requestTimeoutMillis,
        signal,
      });
      this.#note(answer);
    } catch (error) {
      if (!(error instanceof KubernetesRefusedError && error.status === 404)) throw error;
      this.#seen = undefined;
    }
  }

  async #write(
    seen: Seen | undefined,
    { holder, durationMillis }: { holder: string; durationMillis: number },
    signal: AbortSignal,
  ): Promise<void> {
    const namespace = await this.#namespace();
    const now = this.#clock.date().toISOString().replace('Z', '000Z');
    const isTaken = seen?.holder !== holder && holder !== '';
    const kept = this.#toKeep ?? seen?.record;
    const lease = {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: {
        name: this.name,
        namespace,
        ...(seen !== undefined && { resourceVersion: seen.resourceVersion }),
        annotations: { ...seen?.annotations, ...annotationsOf(kept) },
      },
      spec: {
        holderIdentity: holder,
        leaseDurationSeconds: Math.ceil(durationMillis / 1000),
        acquireTime: isTaken ? now : (seen?.acquireTime ?? now),
        renewTime: now,
        leaseTransitions: (seen?.transitions ?? 0) + (isTaken && seen !== undefined ? 1 : 0),
      },
    };
    const answer = await this.#api.json({
      attempt: attemptOn(leases, seen === undefined ? 'create' : 'update', { name: this.name, namespace }),
      path: seen === undefined ? objectPath(leases, namespace) : objectPath(leases, namespace, this.name),
      method: seen === undefined ? 'POST' : 'PUT',
      body: lease,
      timeoutMillis: Math.min(this.#settings.requestTimeoutMillis, this.#settings.durationMillis / 3),
      signal,
    });
    if (kept === this.#toKeep) this.#toKeep = undefined;
    this.#note(answer);
  }

  #note(answer: unknown): void {
    const { metadata, spec } = record(answer);
    const { resourceVersion, annotations } = record(metadata);
    const { holderIdentity, leaseDurationSeconds, leaseTransitions, acquireTime } = record(spec);
    const version = isVersion(resourceVersion) ? resourceVersion : '';
    this.#seen = {
      resourceVersion: version,
      holder: isText(holderIdentity) ? printable(holderIdentity, 300) : '',
      durationMillis: (typeof leaseDurationSeconds === 'number' ? leaseDurationSeconds : 0) * 1000,
      transitions: typeof leaseTransitions === 'number' ? leaseTransitions : 0,
      acquireTime: isText(acquireTime) ? acquireTime : undefined,
      record: recordOfAnnotations(record(annotations)),
      annotations: record(annotations),
      at: this.#seen?.resourceVersion === version ? this.#seen.at : this.#clock.now(),
    };
  }
}

/** Where the record of the last leader is kept. */
const keys = {
  member: 'follow.externalname/member',
  timeline: 'follow.externalname/timeline',
  systemIdentifier: 'follow.externalname/system-identifier',
} as const;

function annotationsOf(leader: LeaderRecord | undefined): Record<string, string> {
  if (leader === undefined) return {};
  const { member, timeline, systemIdentifier } = leader;
  return {
    [keys.member]: member,
    ...(timeline !== undefined && { [keys.timeline]: String(timeline) }),
    ...(systemIdentifier !== undefined && { [keys.systemIdentifier]: systemIdentifier }),
  };
}

function recordOfAnnotations(annotations: Readonly<Record<string, unknown>>): LeaderRecord | undefined {
  const [member, timeline, system] = [
    annotations[keys.member],
    Number(annotations[keys.timeline]),
    annotations[keys.systemIdentifier],
  ];
  if (!isText(member)) return undefined;
  return {
    member,
    timeline: Number.isInteger(timeline) && timeline > 0 ? timeline : undefined,
    systemIdentifier: isText(system) ? system : undefined,
  };
}

const leases = { group: 'coordination.k8s.io', version: 'v1', plural: 'leases' };
