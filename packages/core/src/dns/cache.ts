import { type Random, systemRandom } from '../clock.ts';
import { type Asked, type FailedOutcome, longestChain, type Outcome, type Step } from './chain.ts';
import type { RecordType } from './message.ts';
import type { CacheSettings } from './options.ts';
import type { Hop, Resolution, ResolvedAddress } from './resolution.ts';

/** How resolving a name ended: the result for callers, or what their error is made of. */
export type Settled = Resolution | FailedOutcome;

/** Whether a {@link Settled} is a success. */
export function isResolution(settled: Settled): settled is Resolution {
  return 'addresses' in settled;
}

/** What the cache knows about a name. Shared between callers. */
export interface Found {
  readonly settled: Settled;
  /** When the first of the records expires, in the clock's milliseconds. */
  readonly expiresAt: number;
  /** From when on a hit should refresh the name in the background. */
  readonly refreshAt: number;
}

/** One name's questions, answered together. See {@link DnsCache.store}. */
export interface StoredStep {
  readonly name: string;
  readonly asked: readonly Asked[];
  readonly step: Step;
  /** When the queries were sent. The later query wins, whichever answer arrives first. */
  readonly askedAt: number;
}

/**
 * Answers by name and record set, each with its own TTL: a chain whose alias is valid for 30 s and whose address is valid for 300 s is
 * asked for again after 30 s. No I/O and no clock: every method takes `now`.
 *
 * A name has an alias, or addresses, or nothing. Storing one removes the other, so that a switch leaves no mixture.
 * A failed query removes nothing, so that an expired answer can still be served stale.
 */
export class DnsCache {
  readonly #settings: CacheSettings;
  readonly #random: Random;
  readonly #nodes = new Map<string, Node>();
  /** Counts changes. An answer composed from several names is valid while nothing has changed. */
  #generation = 0;
  #evictions = 0;

  constructor(settings: CacheSettings, random: Random = systemRandom) {
    this.#settings = settings;
    this.#random = random;
  }

  get names(): number {
    return this.#nodes.size;
  }

  get evictions(): number {
    return this.#evictions;
  }

  /** The unexpired answer for `name`. `undefined` if a part is missing and the servers must be asked. */
  find(name: string, family: 0 | 4 | 6, now: number): Found | undefined {
    const node = this.#nodes.get(name);
    if (node === undefined) return undefined;
    node.used = true;
    const memo = node.composed[family];
    if (memo !== undefined && memo.generation === this.#generation && now < memo.found.expiresAt) return memo.found;
    const found = this.#compose(name, family, now, 0);
    node.composed[family] = found && { found, generation: this.#generation };
    return found;
  }

  /**
   * The last known addresses of `name`, if they expired no more than `maxStaleSeconds` ago (RFC 8767) and the whole chain is
   * still known: after a switch, the addresses of the old target are not an answer.
   */
  findStale(name: string, family: 0 | 4 | 6, now: number): Resolution | undefined {
    return this.#last(name, family, now, this.#settings.maxStaleSeconds * 1000);
  }

  /** The last known addresses of `name`, however old: to find out what a new answer changes. */
  findLast(name: string, family: 0 | 4 | 6, now: number): Resolution | undefined {
    return this.#last(name, family, now, Number.POSITIVE_INFINITY);
  }

  /** Whether no server answered the last question for `name`, or for a name that it leads to. */
  hasFailed(name: string): boolean {
    let node = this.#nodes.get(name);
    for (let hops = 0; node !== undefined && hops <= longestChain; hops++) {
      if (node.failure !== undefined) return true;
      node = node.alias && this.#nodes.get(node.alias.hop.target);
    }
    return false;
  }

  /** Stores what the servers said about one name and the names that it leads to. */
  store(stored: StoredStep, now: number): void {
    const { name, step, askedAt } = stored;
    if (step.kind === 'ask-again') return;
    const asked = consistent(stored);
    const chains = asked.map(({ answer }) => ('chain' in answer ? answer.chain : []));
    const longest = chains.reduce((one, other) => (other.length > one.length ? other : one), []);
    const positive = asked.some(({ answer }) => answer.kind === 'addresses');
    const bothAsked = bothTypes.every((type) => stored.asked.some(({ question }) => question.type === type));
    for (const hop of chains.flat()) this.#putAlias(hop, askedAt, now);
    for (const { question, answer } of asked) {
      if (answer.kind === 'failed' || answer.kind === 'unusable' || question.type === 'CNAME') continue;
      const end = answer.chain.at(-1)?.target ?? longest.at(-1)?.target ?? name;
      if (answer.kind === 'addresses') {
        const expiresAt = now + this.#kept(Math.min(...answer.addresses.map((address) => address.ttlSeconds)));
        this.#putAddresses(end, question.type, {
          kind: 'addresses',
          addresses: answer.addresses,
          expiresAt,
          askedAt,
          now,
        });
      } else if (answer.kind === 'no-data' || (answer.kind === 'no-name' && positive)) {
        const expiresAt = now + this.#keptNegative(answer.ttlSeconds);
        this.#putAddresses(end, question.type, { kind: 'none', expiresAt, askedAt, now });
      } else if (answer.kind === 'no-name' && !bothAsked) {
        // Some servers say so although the name has addresses of the other family (RFC 4074 section 4.2).
        const expiresAt = now + this.#keptNegative(answer.ttlSeconds);
        this.#putAddresses(end, question.type, { kind: 'missing', expiresAt, askedAt, now });
      } else if (answer.kind === 'no-name') {
        this.#putMissing(end, { expiresAt: now + this.#keptNegative(answer.ttlSeconds), askedAt, now });
      }
    }
    if (step.kind === 'done') this.#storeOutcome(stored, step.outcome, now);
    const node = this.#nodes.get(name);
    if (node !== undefined) node.refreshPart = this.#random();
  }

  /** Prevents hits from refreshing `name` before `until`, because a refresh is under way or has just failed. */
  postponeRefresh(name: string, until: number): void {
    const node = this.#nodes.get(name);
    if (node === undefined) return;
    node.refreshNotBefore = until;
    node.composed = {};
  }

  /** Forgets a name, including what could be served stale. */
  invalidate(name: string): void {
    if (this.#nodes.delete(name)) this.#generation++;
  }

  /** Forgets everything. */
  clear(): void {
    this.#nodes.clear();
    this.#generation++;
  }

  #last(name: string, family: 0 | 4 | 6, now: number, graceMillis: number): Resolution | undefined {
    const settled = this.#compose(name, family, now, graceMillis)?.settled;
    return settled !== undefined && isResolution(settled) ? settled : undefined;
  }

  #storeOutcome(stored: StoredStep, outcome: Outcome, now: number): void {
    const { asked, askedAt, name } = stored;
    const end = outcome.chain.at(-1)?.target ?? name;
    const answeredQuestions = consistent(stored).filter(({ answer }) => !unansweredKinds.has(answer.kind));
    const unanswered = asked.filter((one) => !answeredQuestions.includes(one));
    if (outcome.kind === 'addresses') {
      // The other family was not answered. Asking again at once would make every caller wait for it.
      const expiresAt = Math.min(
        now + skippedFamilySeconds * 1000,
        now + this.#kept(Math.min(...outcome.addresses.map((address) => address.ttlSeconds))),
      );
      for (const { question } of unanswered) {
        if (question.type === 'CNAME') continue;
        this.#putSkipped(end, question.type, { kind: 'skipped', expiresAt, askedAt, now });
      }
    } else if (outcome.kind === 'unavailable') {
      const { detail, cause } = outcome;
      const node = this.#node(end);
      const expiresAt = now + this.#settings.failureTtlSeconds * 1000;
      node.failure = { types: asked.map(({ question }) => question.type), detail, cause, expiresAt, askedAt, now };
      this.#generation++;
    }
  }

  #putAlias(hop: Hop, askedAt: number, now: number): void {
    const node = this.#node(hop.name);
    if (newerThan(node, askedAt)) return;
    if (node.alias?.hop.target !== hop.target) this.#generation++;
    node.alias = { hop, expiresAt: now + this.#kept(hop.ttlSeconds), askedAt, now };
    node.A = node.AAAA = node.missing = node.failure = undefined;
  }

  #putAddresses(name: string, type: 'A' | 'AAAA', entry: AddressEntry): void {
    const node = this.#node(name);
    if (newerThan(node, entry.askedAt)) return;
    const before = node[type];
    if (node.alias !== undefined || node.missing !== undefined || !sameContent(before, entry)) this.#generation++;
    node.alias = node.missing = node.failure = undefined;
    node[type] = entry;
  }

  #putSkipped(name: string, type: 'A' | 'AAAA', entry: AddressEntry): void {
    const node = this.#node(name);
    // An answer that is still valid is better than none.
    const before = node[type];
    if (newerThan(node, entry.askedAt) || (before !== undefined && before.expiresAt > entry.now)) return;
    node[type] = entry;
    this.#generation++;
  }

  #putMissing(name: string, missing: Kept): void {
    const node = this.#node(name);
    if (newerThan(node, missing.askedAt)) return;
    if (node.missing === undefined) this.#generation++;
    node.alias = node.A = node.AAAA = node.failure = undefined;
    node.missing = missing;
  }

  #node(name: string): Node {
    const known = this.#nodes.get(name);
    if (known !== undefined) return known;
    if (this.#nodes.size >= this.#settings.maxNames) this.#evict();
    const node: Node = {
      used: false,
      alias: undefined,
      A: undefined,
      AAAA: undefined,
      missing: undefined,
      failure: undefined,
      composed: {},
      refreshPart: this.#random(),
      refreshNotBefore: 0,
    };
    this.#nodes.set(name, node);
    return node;
  }

  // Second chance: the oldest name is removed unless it was used since the last look. A hit costs one assignment, unlike with a
  // strict order of use.
  #evict(): void {
    for (const [name, node] of this.#nodes) {
      this.#nodes.delete(name);
      if (!node.used) {
        this.#evictions++;
        this.#generation++;
        return;
      }
      node.used = false;
      this.#nodes.set(name, node);
    }
  }

  #compose(name: string, family: 0 | 4 | 6, now: number, graceMillis: number): Found | undefined {
    const chain: Hop[] = [];
    const visited = new Set<string>();
    const times = new Times();
    const good = (kept: Kept | undefined): kept is Kept => kept !== undefined && now < kept.expiresAt + graceMillis;
    let end = name;
    let node = this.#nodes.get(name);
    while (node?.alias !== undefined && good(node.alias)) {
      times.take(node.alias);
      chain.push(node.alias.hop);
      visited.add(end);
      end = node.alias.hop.target;
      const broken = visited.has(end) ? 'loop' : chain.length > longestChain ? 'too-long' : undefined;
      if (broken !== undefined) return this.#found(name, { kind: broken, chain, ttlSeconds: 0 }, times, now);
      node = this.#nodes.get(end);
      if (node !== undefined) node.used = true;
    }
    if (node === undefined) return undefined;
    if (good(node.missing)) {
      times.take(node.missing);
      return this.#found(name, { kind: 'not-found', chain, ttlSeconds: 0 }, times, now);
    }
    const wanted = family === 0 ? bothTypes : family === 4 ? onlyA : onlyAaaa;
    const addresses: ResolvedAddress[] = [];
    let failed = false;
    for (const type of wanted) {
      const entry = node[type];
      if (entry !== undefined && good(entry) && !(entry.kind === 'skipped' && wanted.length === 1)) {
        times.take(entry);
        if (entry.kind === 'addresses') addresses.push(...entry.addresses);
        continue;
      }
      if (graceMillis > 0) continue; // Stale: any family will do.
      if (!good(node.failure) || !node.failure.types.includes(type)) return undefined;
      times.take(node.failure);
      failed = true;
    }
    if (addresses.length > 0) return this.#found(name, { kind: 'addresses', chain, addresses }, times, now);
    if (failed && node.failure !== undefined) {
      const { detail, cause } = node.failure;
      return this.#found(name, { kind: 'unavailable', chain, detail, cause }, times, now);
    }
    const kind = wanted.every((type) => node[type]?.kind === 'missing') ? 'not-found' : 'no-address';
    return this.#found(name, { kind, chain, ttlSeconds: 0 }, times, now);
  }

  #found(name: string, outcome: Outcome, times: Times, now: number): Found {
    const { expiresAt, since } = times;
    const lifetime = expiresAt - since;
    const refreshes = this.#settings.prefetch && outcome.kind === 'addresses' && lifetime >= shortestPrefetchedMillis;
    return {
      settled: outcome.kind === 'addresses' ? resolutionOf(name, outcome, expiresAt, now >= expiresAt) : outcome,
      expiresAt,
      refreshAt: refreshes ? this.#refreshAt(name, expiresAt, lifetime) : Number.POSITIVE_INFINITY,
    };
  }

  #refreshAt(name: string, expiresAt: number, lifetime: number): number {
    const { refreshPart = 0, refreshNotBefore = 0 } = this.#nodes.get(name) ?? {};
    return Math.max(expiresAt - lifetime * prefetchFraction * refreshPart, refreshNotBefore);
  }

  #kept(ttlSeconds: number): number {
    return keptMillis(ttlSeconds, this.#settings);
  }

  #keptNegative(ttlSeconds: number): number {
    return Math.min(ttlSeconds, this.#settings.maxNegativeTtlSeconds) * 1000;
  }
}

/** How long a record is kept: its TTL, limited by the floor and the cap. Milliseconds. */
export function keptMillis(
  ttlSeconds: number,
  settings: Pick<CacheSettings, 'minTtlSeconds' | 'maxTtlSeconds'>,
): number {
  return Math.min(Math.max(ttlSeconds, settings.minTtlSeconds), settings.maxTtlSeconds) * 1000;
}

/** Addresses and the chain to them, in the form that callers get. */
export function resolutionOf(
  name: string,
  outcome: Extract<Outcome, { kind: 'addresses' }>,
  expiresAt: number,
  stale: boolean,
): Resolution {
  const { chain, addresses } = outcome;
  return { name, chain, canonicalName: chain.at(-1)?.target ?? name, addresses, expiresAt, stale };
}

interface Kept {
  readonly expiresAt: number;
  readonly askedAt: number;
  /** When the record was stored. */
  readonly now: number;
}

interface AliasEntry extends Kept {
  readonly hop: Hop;
}

type AddressEntry = Kept &
  (
    | { readonly kind: 'addresses'; readonly addresses: readonly ResolvedAddress[] }
    | { readonly kind: 'none' }
    /** "Does not exist", if only this family was asked for. */
    | { readonly kind: 'missing' }
    /** The other family was answered, this one was not. */
    | { readonly kind: 'skipped' }
  );

interface FailureEntry extends Kept {
  readonly types: readonly RecordType[];
  readonly detail: string;
  readonly cause: unknown;
}

/** What is known about one name. Invariant: an alias, or addresses, or missing, and never two of them. */
interface Node {
  used: boolean;
  alias: AliasEntry | undefined;
  A: AddressEntry | undefined;
  AAAA: AddressEntry | undefined;
  missing: Kept | undefined;
  failure: FailureEntry | undefined;
  /** The point in the last fifth of its TTL from which a hit refreshes it. Drawn again for each answer. */
  refreshPart: number;
  refreshNotBefore: number;
  composed: { [family in 0 | 4 | 6]?: { readonly found: Found; readonly generation: number } | undefined };
}

class Times {
  expiresAt = Number.POSITIVE_INFINITY;
  /** When the record that expires first was stored. */
  since = 0;

  take(kept: Kept): void {
    if (kept.expiresAt >= this.expiresAt) return;
    this.expiresAt = kept.expiresAt;
    this.since = kept.now;
  }
}

// If two answers still contradict each other, only the one that made the outcome is kept.
function consistent({ name, asked, step }: StoredStep): readonly Asked[] {
  if (step.kind !== 'done' || step.outcome.kind !== 'addresses') return asked;
  const { chain } = step.outcome;
  const start = chain.findIndex((hop) => hop.name === name);
  const own = start < 0 ? [] : chain.slice(start);
  return asked.filter(
    ({ answer }) => !('chain' in answer) || answer.chain.every((hop, index) => hop.target === own[index]?.target),
  );
}

const unansweredKinds: ReadonlySet<string> = new Set(['failed', 'unusable', 'alias']);

function newerThan(node: Node, askedAt: number): boolean {
  const { alias, A, AAAA, missing } = node;
  return [alias, A, AAAA, missing].some((kept) => kept !== undefined && kept.askedAt > askedAt);
}

function sameContent(one: AddressEntry | undefined, other: AddressEntry): boolean {
  if (one === undefined || one.kind !== other.kind) return false;
  if (one.kind !== 'addresses' || other.kind !== 'addresses') return true;
  const known = new Set(one.addresses.map((entry) => entry.address));
  return known.size === other.addresses.length && other.addresses.every((entry) => known.has(entry.address));
}

const bothTypes = ['A', 'AAAA'] as const;
const onlyA = ['A'] as const;
const onlyAaaa = ['AAAA'] as const;

/** The last part of a record's TTL, in which a hit refreshes it. */
const prefetchFraction = 0.2;

/** Refreshing a record with a shorter TTL would hardly be earlier than asking after it expired. */
const shortestPrefetchedMillis = 2000;

/** How long an unanswered family is not asked for again while the other one has addresses. */
const skippedFamilySeconds = 30;
