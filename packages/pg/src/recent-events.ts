import { inspect } from 'node:util';
import type { Clock } from '@externalname/core';
import { EventChannel } from '@externalname/core/events';
import { maskSecrets } from './secrets.ts';

/**
 * One thing that a pool did or met while it looked for a server, for the reader of the error of a failed failover. Contains no
 * secrets: of an error, only its code and its message with secrets masked.
 */
export interface RecentEvent {
  /** When, in ISO 8601; if it happened several times, the last time. */
  readonly time: string;
  /**
   * - `source`: the pool asked where the Service points; `target` is the answer
   * - `resolve`: the pool asked for the target's addresses
   * - `connect`: the pool tried one address, up to a session in the right role
   * - `lost`: an error made the server suspect
   * - `refuse`: the pool does not follow the target, or not yet
   * - `switch`: the pool moved to the target
   */
  readonly event: 'source' | 'resolve' | 'connect' | 'lost' | 'refuse' | 'switch';
  /** The host that the event is about. */
  readonly target?: string;
  /** How the pool learned of the target: `dns`, `kubernetes`, `static`. */
  readonly source?: string;
  /** Of `switch`, the previous host; of `refuse`, the host that the pool stays on. */
  readonly from?: string;
  /** `address:port` */
  readonly address?: string;
  /** What `resolve` found. */
  readonly addresses?: readonly string[];
  /** Code of the error: SQLSTATE, `ECONNREFUSED`, `ERR_EXTERNALNAME_...`. Left out if there was no error. */
  readonly code?: string;
  /** Message of the error, with secrets masked, at most 200 characters. */
  readonly message?: string;
  /** How long it took, in milliseconds; if it happened several times, the last time. */
  readonly millis?: number;
  /** How often exactly this happened, if more than once. */
  readonly times?: number;
  /** With `times`: when it happened first, in ISO 8601. */
  readonly since?: string;
  /** Whether it is not over yet: `time` is when it began, `millis` how long it has taken so far. */
  readonly underWay?: true;
}

/**
 * One step of a pool on its way to a server: what it asked, tried, met or decided. Statements are not included. Channel
 * `externalname:pg:step`.
 */
export interface StepEvent extends Omit<RecentEvent, 'times' | 'since' | 'underWay'> {
  /** The Service or host that the pool was made for. */
  readonly name: string;
}

/** A pool has made one step on its way to a server. See {@link StepEvent}. */
export const stepTaken = new EventChannel<StepEvent>('externalname:pg:step');

/** What to record. The rest is added. */
export interface Happening extends Omit<RecentEvent, 'time' | 'code' | 'message' | 'times' | 'since' | 'underWay'> {
  readonly error?: unknown;
  /** Secrets of this attempt, in addition to those of the pool. Not kept. */
  readonly secrets?: readonly unknown[];
}

/**
 * Remembers the last things that a pool did or met on its way to a server. It records connections, answers and failures, but
 * not statements, so it costs nothing while all is well.
 *
 * Equal events become one entry with a count, so an outage of a minute does not push out how it began.
 */
export class RecentEvents {
  readonly #name: string;
  readonly #clock: Pick<Clock, 'now' | 'date'>;
  readonly #secrets: readonly string[];
  /** By what they say, the latest last. */
  readonly #entries = new Map<string, Entry>();
  readonly #underWay = new Set<() => RecentEvent>();
  #list: readonly RecentEvent[] | undefined;

  /**
   * @param name of the Service or host that the pool was made for
   * @param secrets what the pool was given and must never be shown
   */
  constructor(name: string, clock: Pick<Clock, 'now' | 'date'>, secrets: readonly string[] = []) {
    this.#name = name;
    this.#clock = clock;
    this.#secrets = secrets;
  }

  /**
   * Begins something that takes a while. The returned function ends it and returns the milliseconds; the outcome is
   * recorded separately.
   */
  begin(facts: Pick<Happening, 'event' | 'target' | 'address' | 'addresses'>): () => number {
    const time = this.#clock.date().toISOString();
    const startedAt = this.#clock.now();
    const millis = () => Math.round(this.#clock.now() - startedAt);
    const current = () => Object.freeze({ time, ...facts, millis: millis(), underWay: true } as const);
    this.#underWay.add(current);
    return () => {
      this.#underWay.delete(current);
      return millis();
    };
  }

  record({ error, secrets = [], millis, ...facts }: Happening): void {
    const what = error === undefined ? facts : { ...facts, ...this.#describe(error, secrets) };
    const key = JSON.stringify(what);
    const now = this.#clock.now();
    const time = this.#clock.date().toISOString();
    const known = this.#entries.get(key);
    const again = known !== undefined && now - known.at < sameOccasionMillis ? known : undefined;
    const times = (again?.times ?? 0) + 1;
    const since = again?.since ?? time;
    const step: RecentEvent = { time, ...what, ...(millis === undefined ? {} : { millis }) };
    const event: RecentEvent = { ...step, ...(times > 1 ? { times, since } : {}) };
    // So that it comes last.
    this.#entries.delete(key);
    this.#entries.set(key, { event: Object.freeze(event), at: now, times, since });
    const [oldest] = this.#entries.keys();
    if (this.#entries.size > capacity && oldest !== undefined) this.#entries.delete(oldest);
    this.#list = undefined;
    stepTaken.publish(() => ({ name: this.#name, ...step }));
  }

  /** The events, the latest last, followed by what is under way. */
  list(): readonly RecentEvent[] {
    const over = () => [...this.#entries.values()].map(({ event }) => event);
    if (this.#underWay.size > 0) {
      return printableText([...over(), ...[...this.#underWay].slice(-mostUnderWay).map((current) => current())]);
    }
    this.#list ??= printableText(over());
    return this.#list;
  }

  #describe(error: unknown, secrets: readonly unknown[]): Pick<RecentEvent, 'code' | 'message'> {
    const { code, message } = error instanceof Error ? (error as { code?: unknown; message: unknown }) : {};
    const plainCode = typeof code === 'string' && /^\w{1,64}$/.test(code) ? code : undefined;
    const text = typeof message === 'string' && message !== '' ? message : String(plainCode ?? 'no message');
    const masked = maskSecrets(text, [...this.#secrets, ...secrets]).replace(/[\s\p{Cc}]+/gu, ' ');
    return {
      ...(plainCode === undefined ? {} : { code: maskSecrets(plainCode, [...this.#secrets, ...secrets]) }),
      message: masked.length > longestMessage ? `${masked.slice(0, longestMessage - 1)}…` : masked,
    };
  }
}

interface Entry {
  readonly event: RecentEvent;
  readonly at: number;
  readonly times: number;
  readonly since: string;
}

/** The events that an error carries: see {@link RecentEvent}. Empty for an error that did not end a wait for a connection. */
export function recentEventsOf(error: unknown): readonly RecentEvent[] {
  const events = error instanceof Error ? (error as { recentEvents?: unknown }).recentEvents : undefined;
  return Array.isArray(events) ? events : [];
}

/** Attaches to an error that ends a wait for a connection what was tried meanwhile. Only for our own errors. */
export function attachRecentEvents(error: Error, events: readonly RecentEvent[]): void {
  if (!Object.isExtensible(error)) return;
  Object.defineProperty(error, 'recentEvents', { value: events, enumerable: true, configurable: true, writable: true });
}

// A log of an error prints its properties. Field by field this would fill a screen; one line per event can be read.
function printableText(events: readonly RecentEvent[]): readonly RecentEvent[] {
  const list = [...events];
  const print = () =>
    list.length === 0 ? '[]' : `[\n${list.map((event) => `  ${describeEvent(event)}`).join('\n')}\n]`;
  return Object.freeze(Object.defineProperty(list, inspect.custom, { value: print }));
}

/** An event in one line. */
export function describeEvent({ time, event, target, source, from, address, addresses, ...rest }: RecentEvent): string {
  const { code, message, millis, times, since, underWay } = rest;
  const words: string[] = [time, event];
  if (target !== undefined) words.push(target);
  if (source !== undefined) words.push(`(${source})`);
  if (from !== undefined) words.push(event === 'switch' ? `from ${from}` : `stays on ${from}`);
  if (address !== undefined) words.push(address);
  if (addresses !== undefined) words.push(`${event === 'resolve' ? 'is at' : 'at'} ${addresses.join(', ')}`);
  if (underWay) words.push('under way');
  if (message !== undefined) {
    const coded = code === undefined || message.includes(code) ? message : `${code} ${message}`;
    words.push(event === 'lost' ? `by ${coded}` : `failed: ${coded}`);
  }
  const notes = [
    millis === undefined ? '' : `${millis} ms`,
    times === undefined ? '' : `${times} times since ${since}`,
  ];
  const note = notes.filter((each) => each !== '').join(', ');
  return note === '' ? words.join(' ') : `${words.join(' ')} (${note})`;
}

const capacity = 20;
const mostUnderWay = 5;
const longestMessage = 200;

// Longer than the pause between two attempts and the attempt itself. The same event later is a new entry.
const sameOccasionMillis = 15_000;
