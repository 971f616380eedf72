import { isWithin } from '../names/index.ts';
import type { DnsRecord, Question, ResponseMessage } from './message.ts';
import type { Hop, ResolvedAddress } from './resolution.ts';

/** What one response says about one question. `chain` holds the aliases on the way. */
export type Answer =
  | { readonly kind: 'addresses'; readonly chain: readonly Hop[]; readonly addresses: readonly ResolvedAddress[] }
  /** Aliases without the record at their end: the last name must still be asked for. */
  | { readonly kind: 'alias'; readonly chain: readonly Hop[] }
  /** The last name has no record of this type (NODATA, RFC 2308 section 2.2). */
  | { readonly kind: 'no-data'; readonly chain: readonly Hop[]; readonly ttlSeconds: number }
  /** The last name does not exist (NXDOMAIN, RFC 2308 section 2.1). */
  | { readonly kind: 'no-name'; readonly chain: readonly Hop[]; readonly ttlSeconds: number }
  | { readonly kind: 'loop'; readonly chain: readonly Hop[] }
  | { readonly kind: 'too-long'; readonly chain: readonly Hop[] }
  /** The response does not answer the question. `detail` goes into error messages. */
  | { readonly kind: 'unusable'; readonly chain: readonly Hop[]; readonly detail: string };

/** Where a response came from, and the aliases before it. */
export interface AnswerContext {
  readonly server: string;
  readonly elapsedMillis: number;
  /** The aliases in earlier answers that led to the question's name. */
  readonly passed?: readonly Hop[];
}

/**
 * Follows the aliases of a response from the question's name to their end. Pure.
 *
 * Records may come in any order. Only records that belong to the question count: an alias of a name on the way, and
 * addresses of the last name. All others are ignored, because an attacker would put forged records there (the same rule as
 * `answersQuestion` in CoreDNS `plugin/cache`).
 */
export function readAnswer(question: Question, message: ResponseMessage, context: AnswerContext): Answer {
  const { server, elapsedMillis, passed = [] } = context;
  const chain: Hop[] = [];
  const visited = new Set([question.name, ...passed.map((hop) => hop.name)]);
  let name = question.name;
  for (;;) {
    const aliases = message.answers.filter((record) => record.type === 'CNAME' && record.name === name) as Alias[];
    const [alias] = aliases;
    if (alias === undefined) break;
    if (aliases.some((other) => other.target !== alias.target)) {
      return { kind: 'unusable', chain, detail: `two aliases for ${name} from ${server}` };
    }
    const ttlSeconds = Math.min(...aliases.map((record) => record.ttlSeconds));
    chain.push({ name, target: alias.target, ttlSeconds, server, elapsedMillis });
    if (visited.has(alias.target)) return { kind: 'loop', chain };
    if (passed.length + chain.length > longestChain) return { kind: 'too-long', chain };
    name = alias.target;
    visited.add(name);
  }
  return readEnd(question, name, message, chain, server);
}

/**
 * The most addresses that are kept of one answer. A message of 64 KiB has room for 4,000, and the cache would keep as many for each
 * name.
 */
export const mostAddresses = 256;

/** The most aliases that are followed. CoreDNS stops at 10, unbound at 11. */
export const longestChain = 16;

/** What is known about a name after all its questions are answered. */
export type Outcome =
  | {
      readonly kind: 'addresses';
      readonly chain: readonly Hop[];
      readonly addresses: readonly ResolvedAddress[];
    }
  | {
      readonly kind: 'not-found' | 'no-address' | 'loop' | 'too-long';
      readonly chain: readonly Hop[];
      /** Seconds that the negative answer itself may be kept. */
      readonly ttlSeconds: number;
    }
  | {
      readonly kind: 'unavailable';
      readonly chain: readonly Hop[];
      readonly detail: string;
      readonly cause: unknown;
    };

/** {@link Outcome}, without the successful one. */
export type FailedOutcome = Exclude<Outcome, { readonly kind: 'addresses' }>;

/** What to do after the questions about one name were answered. See {@link judge}. */
export type Step =
  /** Nothing more to ask. */
  | { readonly kind: 'done'; readonly outcome: Outcome }
  /** Ask about the last name of the chain. */
  | { readonly kind: 'ask-on'; readonly chain: readonly Hop[] }
  /** The answers contradict each other, as happens when the target changes between them: ask both questions again. */
  | { readonly kind: 'ask-again' }
  /**
   * There is neither an address nor an alias: ask for the alias itself, because servers omit an alias that leads nowhere. CoreDNS says NODATA
   * if the target in the cluster is missing or the chain loops. Unbound says SERVFAIL, or nothing for a long time, if the
   * servers of the target do not answer.
   */
  | { readonly kind: 'ask-alias'; readonly otherwise: FailedOutcome };

/** One question and its result. */
export interface Asked {
  readonly question: Question;
  readonly answer: Answer | FailedAnswer;
}

/** No server had an answer. */
export interface FailedAnswer {
  readonly kind: 'failed';
  readonly detail: string;
  readonly cause: unknown;
  /** Whether a server may be there: it answered with a failure (SERVFAIL, ...) or not at all. Another question may succeed. */
  readonly reachable: boolean;
}

/** What {@link judge} may still suggest. */
export interface JudgeOptions {
  /** The aliases that led to the name of the questions. */
  readonly passed: readonly Hop[];
  /** Whether the questions may be asked again after contradicting answers. */
  readonly mayAskAgain: boolean;
}

/**
 * Decides what the answers about one name mean together. Pure.
 *
 * - Addresses of one family are a success, whatever happened to the other family. One exception: if A brought only the alias,
 *   as from CoreDNS when its upstream fails, the target itself is asked, because few hosts have no IPv4 address.
 *   For AAAA, CoreDNS answers like that for every host without IPv6, and asking would cost two more queries each time.
 * - "Does not exist" counts for both families; "no address" only if both say so.
 * - A server that did not answer says nothing about the name.
 */
export function judge(asked: readonly Asked[], options: JudgeOptions): Step {
  const { passed, mayAskAgain } = options;
  const chains = asked.map(({ answer }) => ('chain' in answer ? answer.chain : []));
  const longest = chains.reduce((one, other) => (other.length > one.length ? other : one), []);
  const chain = [...passed, ...longest];
  const done = (outcome: Outcome): Step => ({ kind: 'done', outcome });

  if (mayAskAgain && contradict(asked)) return { kind: 'ask-again' };
  const withAddresses = asked.filter(({ answer }) => answer.kind === 'addresses');
  const first = withAddresses[0];
  if (first !== undefined) {
    const onlyAliasForA = asked.some(({ question, answer }) => question.type === 'A' && answer.kind === 'alias');
    const own = 'chain' in first.answer ? first.answer.chain : [];
    if (onlyAliasForA && own.length > 0) return { kind: 'ask-on', chain: [...passed, ...own] };
    const addresses = withAddresses.flatMap(({ answer }) =>
      answer.kind === 'addresses' && sameChain(answer.chain, own) ? answer.addresses : [],
    );
    return done({ kind: 'addresses', chain: [...passed, ...own], addresses });
  }
  for (const kind of ['loop', 'too-long'] as const) {
    const found = asked.find(({ answer }) => answer.kind === kind);
    if (found !== undefined && 'chain' in found.answer) {
      return done({ kind, chain: [...passed, ...found.answer.chain], ttlSeconds: 0 });
    }
  }
  if (asked.some(({ answer }) => answer.kind === 'alias')) return { kind: 'ask-on', chain };
  const missing = asked.flatMap(({ answer }) => (answer.kind === 'no-name' ? [answer] : []));
  if (missing[0] !== undefined) {
    const ttlSeconds = Math.min(...missing.map((answer) => answer.ttlSeconds));
    return done({ kind: 'not-found', chain: [...passed, ...missing[0].chain], ttlSeconds });
  }
  const failures = asked.flatMap(({ answer }) => (answer.kind === 'failed' ? [answer] : []));
  const outcome = failures.length > 0 ? unavailable(failures, chain) : noAddress(asked, chain);
  const askedForAlias = asked.some(({ question }) => question.type === 'CNAME');
  const reachable = failures.every((failure) => failure.reachable);
  if (longest.length === 0 && reachable && !askedForAlias) return { kind: 'ask-alias', otherwise: outcome };
  return done(outcome);
}

function unavailable(failures: readonly FailedAnswer[], chain: readonly Hop[]): FailedOutcome {
  const details = new Set(failures.map((failure) => failure.detail));
  const causes = failures.map((failure) => failure.cause).filter((cause) => cause !== undefined);
  const cause = causes.length > 1 ? new AggregateError(causes, 'no question was answered') : causes[0];
  return { kind: 'unavailable', chain, detail: [...details].join('; '), cause };
}

function noAddress(asked: readonly Asked[], chain: readonly Hop[]): FailedOutcome {
  const negative = asked.flatMap(({ answer }) => (answer.kind === 'no-data' ? [answer.ttlSeconds] : []));
  return { kind: 'no-address', chain, ttlSeconds: negative.length > 0 ? Math.min(...negative) : 0 };
}

type Alias = Extract<DnsRecord, { type: 'CNAME' }>;

function readEnd(question: Question, name: string, message: ResponseMessage, chain: Hop[], server: string): Answer {
  if (question.type === 'CNAME' && chain.length > 0) return { kind: 'alias', chain };
  const addresses = new Map<string, ResolvedAddress>();
  for (const record of message.answers) {
    if (record.type !== question.type || record.name !== name || !('address' in record)) continue;
    const { address, ttlSeconds } = record;
    const known = addresses.get(address);
    if (known === undefined && addresses.size >= mostAddresses) continue;
    if (known === undefined || ttlSeconds < known.ttlSeconds) {
      addresses.set(address, { address, family: record.type === 'A' ? 4 : 6, ttlSeconds });
    }
  }
  if (addresses.size > 0) return { kind: 'addresses', chain, addresses: [...addresses.values()] };
  const ttlSeconds = negativeTtl(name, message);
  // The code is about the last name of the chain, not about the first (RFC 6604 section 3).
  if (message.rcode === 'NXDOMAIN') return { kind: 'no-name', chain, ttlSeconds: ttlSeconds ?? 0 };
  // Without an authoritative answer, an alias alone only shows that the server did not get further.
  if (chain.length > 0 && ttlSeconds === undefined) return { kind: 'alias', chain };
  if (message.referral) return { kind: 'unusable', chain, detail: `${server} only refers to other name servers` };
  return { kind: 'no-data', chain, ttlSeconds: ttlSeconds ?? 0 };
}

// RFC 2308 section 5: the smaller of the SOA's own TTL and its minimum field, and only for a zone that contains the name.
function negativeTtl(name: string, message: ResponseMessage): number | undefined {
  const ttls = message.authority.flatMap((record) =>
    record.type === 'SOA' && (record.name === '.' || isWithin(name, record.name))
      ? [Math.min(record.ttlSeconds, record.minimumSeconds)]
      : [],
  );
  return ttls.length > 0 ? Math.min(...ttls) : undefined;
}

// An answer without aliases and data contradicts nothing: CoreDNS omits the alias if a target in the cluster lacks one
// family.
function contradict(asked: readonly Asked[]): boolean {
  const [one, two] = asked.flatMap(({ answer }) =>
    'chain' in answer && answer.kind !== 'unusable' && (answer.chain.length > 0 || answer.kind === 'addresses')
      ? [answer]
      : [],
  );
  if (one === undefined || two === undefined) return false;
  const [shorter, longer] = one.chain.length <= two.chain.length ? [one, two] : [two, one];
  if (!shorter.chain.every((hop, index) => hop.target === longer.chain[index]?.target)) return true;
  // One chain ends where the other goes on. That is a contradiction only if it ends with an address.
  return shorter.kind === 'addresses' && shorter.chain.length < longer.chain.length;
}

function sameChain(one: readonly Hop[], other: readonly Hop[]): boolean {
  return one.length === other.length && one.every((hop, index) => hop.target === other[index]?.target);
}
