import type { Clock, Random } from '@externalname/core';
import { sleep } from '@externalname/core/internal';
import {
  type AccessAttempt,
  errorForStatus,
  KubernetesRefusedError,
  KubernetesUnavailableError,
} from '../api/errors.ts';
import type { ApiLines, KubernetesApi } from '../api/kubernetes-api.ts';
import {
  attemptOn,
  isObjectAt,
  type ObjectName,
  type ObjectSnapshot,
  objectPath,
  type ResourceKind,
} from '../api/objects.ts';
import { nextConnection, type ReconnectSettings } from './reconnect.ts';
import { readObjectList, readWatchEvent } from './watch-event.ts';

/** Times of a watch, all in milliseconds. */
export interface WatchSettings {
  readonly requestTimeoutMillis: number;
  readonly silenceMillis: number;
  readonly reconnect: ReconnectSettings;
}

/** What the server said of the object. */
export interface Observation<Snapshot extends ObjectSnapshot, Name extends ObjectName> {
  readonly reference: Name;
  /** Undefined if there is no object of that name. */
  readonly object: Snapshot | undefined;
  readonly resourceVersion: string;
  /** Whether versions known before mean nothing any more, as after a server was restored from a backup. */
  readonly reset: boolean;
}

/** Gets what the watch learns. Never called from inside `start()`. */
export interface ObjectWatchListener<Snapshot extends ObjectSnapshot, Name extends ObjectName> {
  /** The object as it is now, or that there is none. Called for each answer and event, in order. */
  observed(observation: Observation<Snapshot, Name>): void;
  /** The watch is open: what was observed last is what the server holds. */
  connected(): void;
  /**
   * What was observed last can no longer be confirmed. Called after each failed attempt, with what failed: a list that succeeds
   * does not mean that the watch will.
   */
  unavailable(error: unknown, failed: 'list' | 'watch'): void;
}

/**
 * Follows one object: lists it, watches from there, and resumes after whatever ended the watch. Both requests carry a field
 * selector on the name, so a Role with `resourceNames` suffices (Kubernetes documentation, "Using RBAC
 * Authorization").
 *
 * The request asks the server to end each watch a little before the deadline on silence. A quiet watch is then renewed from the
 * version that it had reached, at the cost of one request, and a longer silence always means that the path is gone. Nothing
 * depends on how often this server, or a proxy in front of it, sends bookmarks.
 */
export class ObjectWatch<Snapshot extends ObjectSnapshot, Name extends ObjectName> {
  readonly #api: KubernetesApi;
  readonly #kind: ResourceKind<Snapshot>;
  readonly #reference: () => Promise<Name>;
  readonly #settings: WatchSettings;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #listener: ObjectWatchListener<Snapshot, Name>;
  #life: { readonly controller: AbortController; readonly over: Promise<void> } | undefined;

  constructor(
    parts: {
      api: KubernetesApi;
      kind: ResourceKind<Snapshot>;
      reference: () => Promise<Name>;
      settings: WatchSettings;
      clock: Clock;
      random: Random;
    },
    listener: ObjectWatchListener<Snapshot, Name>,
  ) {
    this.#api = parts.api;
    this.#kind = parts.kind;
    this.#reference = parts.reference;
    this.#settings = parts.settings;
    this.#clock = parts.clock;
    this.#random = parts.random;
    this.#listener = listener;
  }

  start(): void {
    if (this.#life !== undefined) return;
    const controller = new AbortController();
    this.#life = { controller, over: this.#run(controller.signal) };
  }

  /** Resolves when the connection is closed and no timer is left. */
  async stop(): Promise<void> {
    const life = this.#life;
    if (life === undefined) return;
    this.#life = undefined;
    life.controller.abort(new Error('the watch was stopped'));
    await life.over;
  }

  async #run(signal: AbortSignal): Promise<void> {
    let failures = 0;
    const position: Position = { resourceVersion: undefined, reset: false, mustHold: false };
    await Promise.resolve(); // The listener is never called from inside start().
    while (!signal.aborted) {
      const startedAt = this.#clock.now();
      const connection: Connection = { step: 'list', connected: false };
      let failure: unknown;
      try {
        const reference = await this.#reference();
        if (position.resourceVersion === undefined) await this.#list(reference, position, signal);
        connection.step = 'watch';
        await this.#follow(reference, position, connection, signal);
      } catch (error) {
        failure = error;
        if (isExpired(error) || isFromTheFuture(error)) position.resourceVersion = undefined;
        if (isFromTheFuture(error)) position.reset = true;
      }
      if (signal.aborted) return;
      const lastedMillis = this.#clock.now() - startedAt;
      const wasShort = failure !== undefined && lastedMillis < this.#settings.reconnect.stableMillis;
      // A server that was away in between starts over when it is back.
      position.mustHold = connection.connected ? wasShort : position.mustHold && isExpired(failure);
      const next = nextConnection(
        failures,
        { lastedMillis, retryAfterSeconds: retryAfterOf(failure) },
        this.#settings.reconnect,
        this.#random,
      );
      failures = next.failures;
      // A watch that ended and is back at once has missed nothing, so the listener is not told. The same holds for an expired
      // version: the server answers, and the next list is complete.
      const mayPass = connection.connected || isExpired(failure);
      if (failure !== undefined && (!mayPass || next.delayMillis > graceMillis)) {
        this.#listener.unavailable(failure, connection.step);
      }
      await sleep(next.delayMillis, { signal, clock: this.#clock }).catch(() => undefined);
    }
  }

  async #list(reference: Name, position: Position, signal: AbortSignal): Promise<void> {
    const attempt = attemptOn(this.#kind, 'list', reference);
    // Without a resourceVersion the answer is the newest state, not what a cache of the server holds.
    const answer = await this.#api.json({
      attempt,
      path: objectPath(this.#kind, reference.namespace),
      query: { fieldSelector: `metadata.name=${reference.name}` },
      timeoutMillis: this.#settings.requestTimeoutMillis,
      signal,
    });
    const list = readObjectList(answer, reference, this.#kind.read);
    if (list === undefined) {
      throw new KubernetesUnavailableError(
        'the Kubernetes API answered a list request with something other than a list',
        {
          outcome: 'not-executed',
        },
      );
    }
    const { object, resourceVersion } = list;
    const { reset } = position;
    position.resourceVersion = resourceVersion;
    position.reset = false;
    if (!signal.aborted) this.#listener.observed({ reference, object, resourceVersion, reset });
  }

  async #follow(reference: Name, position: Position, connection: Connection, signal: AbortSignal): Promise<void> {
    const attempt = attemptOn(this.#kind, 'watch', reference);
    const { requestTimeoutMillis, silenceMillis } = this.#settings;
    const lines: ApiLines = await this.#api.lines({
      attempt,
      path: objectPath(this.#kind, reference.namespace),
      query: {
        watch: 'true',
        fieldSelector: `metadata.name=${reference.name}`,
        resourceVersion: position.resourceVersion ?? '',
        allowWatchBookmarks: 'true',
        timeoutSeconds: String(watchSeconds(silenceMillis, this.#random())),
      },
      timeoutMillis: requestTimeoutMillis,
      silenceMillis,
      signal,
    });
    connection.connected = true;
    const stands = () => {
      if (!signal.aborted) this.#listener.connected();
    };
    const held = position.mustHold
      ? this.#clock.schedule(stands, this.#settings.reconnect.stableMillis, { background: true })
      : undefined;
    try {
      if (held === undefined) stands();
      for (;;) {
        const line = await lines.next();
        if (line === undefined || signal.aborted) return;
        this.#take(line, reference, position, attempt, lines);
      }
    } finally {
      held?.cancel();
      lines.close();
    }
  }

  #take(line: string, reference: Name, position: Position, attempt: AccessAttempt, lines: ApiLines): void {
    const event = readWatchEvent(line, this.#kind.read);
    if (event === undefined) return; // An unknown kind of event carries nothing that is needed.
    if (event.kind === 'error') {
      const told = readWatchEvent(lines.conceal(line), this.#kind.read);
      throw errorForStatus(attempt, told?.kind === 'error' ? told.status : event.status, {
        outcome: 'not-executed',
        api: lines.api,
      });
    }
    if (event.kind === 'bookmark') {
      position.resourceVersion = event.resourceVersion;
      return;
    }
    const { object } = event;
    if (!isObjectAt(reference, object)) return;
    const { resourceVersion } = object;
    position.resourceVersion = resourceVersion;
    this.#listener.observed({
      reference,
      object: event.kind === 'changed' ? object : undefined,
      resourceVersion,
      reset: false,
    });
  }
}

interface Position {
  /** Undefined if the state must be listed first. */
  resourceVersion: string | undefined;
  /** Whether the next list starts a new history. */
  reset: boolean;
  /** Whether the last watch broke soon after it had started: the next one only counts after it has lasted longer. */
  mustHold: boolean;
}

interface Connection {
  step: 'list' | 'watch';
  connected: boolean;
}

/** How long the server should keep a watch open, in whole seconds: 70 to 85 % of the allowed silence. */
export function watchSeconds(silenceMillis: number, random: number): number {
  return Math.max(1, Math.floor((silenceMillis / 1000) * (0.7 + random * 0.15)));
}

// The history from that version on is gone: 410, as the answer or as an event (Kubernetes documentation, "API Concepts").
function isExpired(error: unknown): boolean {
  return error instanceof KubernetesRefusedError && (error.status === 410 || error.reason === 'Expired');
}

// A version that this server has never reached, as after a restore, or that it cannot read.
function isFromTheFuture(error: unknown): boolean {
  if (error instanceof KubernetesRefusedError) return error.status === 400;
  return error instanceof KubernetesUnavailableError && /too large resource version/i.test(error.message);
}

function retryAfterOf(error: unknown): number | undefined {
  return error instanceof KubernetesUnavailableError ? error.retryAfterSeconds : undefined;
}

// Shorter than a caller waits for a replaced connection; longer than the first two attempts take.
const graceMillis = 1_000;
