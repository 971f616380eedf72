import { setMaxListeners } from 'node:events';
import { isIP } from 'node:net';
import { backoffMillis } from '../backoff.ts';
import type { Clock, Timer } from '../clock.ts';
import type { DnsResolver, Resolution, ResolvedAddress, ResolveOptions, Resolver } from '../dns/index.ts';
import { ClosedError } from '../errors.ts';
import { backgroundFailed } from '../events/index.ts';
import { AddressHistory } from './address-history.ts';

/** A user of addresses, who must know when one has left its name. */
export interface AddressUser {
  /** The addresses that the user has connections to now. */
  inUse(): Iterable<string>;
  /** Called with the addresses in use that have left the name, at each answer while there are any. Never from inside a call to the watch. */
  left(addresses: ReadonlySet<string>): void;
}

/** The answer of each server, by its address. `undefined` if it did not answer. */
type ServerAnswers = Awaited<ReturnType<DnsResolver['resolveAtEach']>>;

/**
 * Finds out which addresses in use have left their name.
 *
 * It checks the name's addresses once a TTL, a little later than the source that follows the name, so that the resolver's cache has the
 * answer. While an address in use is missing, it bypasses the cache, once a second if the name does not rotate. {@link AddressHistory} says
 * when the answers show a change. Then the change is verified: each DNS server is asked by itself, with at least seven questions in all, to
 * reach every server that may hide behind one address and be out of date. An address has left if no server names it and
 *
 * - each server that answers names other addresses of its family: an empty answer or an error proves nothing;
 * - two servers answered, if two are configured.
 *
 * All users of a name share one watch. It asks nothing while no address is in use. Its timer does not keep the process alive.
 *
 * @internal
 */
export class AddressWatch {
  readonly #name: string;
  readonly #resolver: Resolver & Partial<Pick<DnsResolver, 'resolveAtEach'>>;
  readonly #clock: Clock;
  readonly #users = new Set<AddressUser>();
  readonly #histories = { 4: new AddressHistory(), 6: new AddressHistory() };
  readonly #left = new Set<string>();
  readonly #closing = new AbortController();
  #timer: Timer | undefined;
  #looking: Promise<void> | undefined;
  /** When a failed verification may be retried, and how often it has failed in a row. */
  #proveAgainAt = 0;
  #failedProofs = 0;

  constructor(name: string, resolver: Resolver, clock: Clock) {
    this.#name = name;
    this.#resolver = resolver;
    this.#clock = clock;
    // One listener for each question under way is not a leak.
    setMaxListeners(0, this.#closing.signal);
  }

  /** Informs the user from now on. Returns the function that ends it. */
  join(user: AddressUser): () => void {
    if (this.#closing.signal.aborted) throw new ClosedError('the watch of addresses');
    this.#users.add(user);
    if (this.#timer === undefined && this.#looking === undefined) this.#lookAfter(shortestPauseMillis);
    return () => {
      this.#users.delete(user);
      if (this.#users.size === 0) this.#stop();
    };
  }

  /** Ends the watch. Resolves when no question is under way. Idempotent. */
  async close(): Promise<void> {
    this.#users.clear();
    this.#stop();
    this.#closing.abort(new ClosedError('the watch of addresses'));
    await this.#looking;
  }

  #stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #lookAfter(pauseMillis: number): void {
    this.#stop();
    if (this.#users.size === 0) return;
    const look = () => {
      this.#timer = undefined;
      this.#looking = this.#look().then((nextMillis) => {
        this.#looking = undefined;
        this.#lookAfter(nextMillis);
      });
    };
    this.#timer = this.#clock.schedule(look, pauseMillis, { background: true });
  }

  /** Checks once and returns when to check again. Never rejects. */
  async #look(): Promise<number> {
    const inUse = this.#inUse();
    for (const address of this.#left) if (!inUse.has(address)) this.#left.delete(address);
    if (inUse.size === 0) return idlePauseMillis;
    const missing = this.#missing(inUse);
    const fresh = missing.length > 0;
    let resolution: Resolution;
    try {
      resolution = await this.#resolver.resolve(this.#name, {
        fresh,
        family: fresh ? familyOf(missing) : 0,
        timeoutMillis: questionTimeoutMillis,
        signal: this.#closing.signal,
      });
    } catch {
      // Neither "no such host" nor a timeout says where the name has gone.
      return failurePauseMillis;
    }
    if (resolution.stale) return failurePauseMillis;
    this.#take(resolution.addresses, fresh ? undefined : resolution.expiresAt);
    await this.#judge(this.#missing(this.#inUse()));
    this.#tell();
    return this.#pauseAfter(resolution);
  }

  async #judge(missing: readonly string[]): Promise<void> {
    const now = this.#clock.now();
    if (now < this.#proveAgainAt) return;
    for (const family of [4, 6] as const) {
      const due = missing.filter(
        (address) => isIP(address) === family && this.#histories[family].hasLeft(address, now),
      );
      if (due.length === 0) continue;
      const named = await this.#proof(family);
      if (named === undefined) {
        this.#failedProofs += 1;
        const pauseMillis = backoffMillis(this.#failedProofs, proofPauses);
        this.#proveAgainAt = this.#clock.now() + pauseMillis;
        continue;
      }
      this.#failedProofs = 0;
      for (const address of due) if (!named.has(address)) this.#left.add(address);
    }
  }

  /** All addresses of the family that the servers name. `undefined` if the answers prove nothing. */
  async #proof(family: 4 | 6): Promise<ReadonlySet<string> | undefined> {
    const named = new Set<string>();
    const answered = new Set<string>();
    const until = this.#clock.now() + longestProofMillis;
    let servers = 1;
    for (let questions = 0; questions < proofQuestions && this.#clock.now() < until; ) {
      let answers: ServerAnswers;
      try {
        answers = await this.#askEach(family);
      } catch {
        return undefined;
      }
      servers = answers.size;
      const given = [...answers].flatMap(([server, addresses]) => (addresses ? [{ server, addresses }] : []));
      for (const { server, addresses } of given) {
        const ofFamily = addresses.filter((each) => each.family === family);
        if (ofFamily.length === 0) return undefined;
        this.#take(ofFamily, undefined);
        for (const { address } of ofFamily) named.add(address);
        answered.add(server);
      }
      if (given.length === 0) return undefined;
      questions += given.length;
    }
    return answered.size >= Math.min(2, servers) ? named : undefined;
  }

  async #askEach(family: 4 | 6): Promise<ServerAnswers> {
    const { signal } = this.#closing;
    const asked: ResolveOptions = { family, signal, timeoutMillis: proofTimeoutMillis };
    if (this.#resolver.resolveAtEach !== undefined) return await this.#resolver.resolveAtEach(this.#name, asked);
    const { addresses, stale } = await this.#resolver.resolve(this.#name, { ...asked, fresh: true });
    return new Map([['', stale ? undefined : addresses]]);
  }

  // Without `expiresAt`, the answer comes from a server, not from the resolver's cache.
  #take(addresses: readonly ResolvedAddress[], expiresAt: number | undefined): void {
    const now = this.#clock.now();
    for (const family of [4, 6] as const) {
      const ofFamily = addresses.filter((each) => each.family === family);
      if (ofFamily.length === 0) continue;
      const ttlMillis = Math.min(...ofFamily.map(({ ttlSeconds }) => ttlSeconds)) * 1000;
      const named = ofFamily.map(({ address }) => address);
      this.#histories[family].add({ addresses: named, expiresAt: expiresAt ?? now + ttlMillis, ttlMillis }, now);
      for (const address of named) this.#left.delete(address);
    }
  }

  #tell(): void {
    for (const user of [...this.#users]) {
      const left = new Set([...user.inUse()].filter((address) => this.#left.has(address)));
      if (left.size > 0) deliver(user, left);
    }
  }

  #inUse(): ReadonlySet<string> {
    return new Set([...this.#users].flatMap((user) => [...user.inUse()]));
  }

  // In use, not named, and not known to have left the name.
  #missing(inUse: ReadonlySet<string>): readonly string[] {
    return [...inUse].filter((address) => {
      const family = isIP(address);
      if ((family !== 4 && family !== 6) || this.#left.has(address)) return false;
      return this.#histories[family].isBegun && !this.#histories[family].names(address);
    });
  }

  #pauseAfter({ addresses, expiresAt }: Resolution): number {
    const now = this.#clock.now();
    const isHurried = this.#missing(this.#inUse()).some((address) => {
      const history = this.#histories[isIP(address) === 6 ? 6 : 4];
      return !history.rotates(now) && !history.hasLeft(address, now);
    });
    if (isHurried) return hurriedPauseMillis;
    const lifeMillis = Math.min(...addresses.map(({ ttlSeconds }) => ttlSeconds)) * 1000;
    // After the source that follows the name has asked again, so that its answer is in the cache.
    const laterMillis = Math.min(lifeMillis / 10, 1000) + 250;
    return Math.min(Math.max(expiresAt - now + laterMillis, shortestPauseMillis), longestPauseMillis);
  }
}

// A user that throws must not stop the others, nor end the watch.
function deliver(user: AddressUser, left: ReadonlySet<string>): void {
  try {
    user.left(left);
  } catch (error) {
    backgroundFailed.publish(() => ({ what: 'telling of addresses that have left a name', error }));
  }
}

function familyOf(addresses: readonly string[]): 0 | 4 | 6 {
  const families = new Set(addresses.map((address) => isIP(address)));
  return families.size > 1 ? 0 : families.has(6) ? 6 : 4;
}

/** No name is asked for more often. */
const shortestPauseMillis = 1000;

/** Longer than a TTL's step, so that answers of a server without a cache can be told from copies. */
const hurriedPauseMillis = 1100;

const longestPauseMillis = 300_000;

/** The pause after a failed question or verification. */
const failurePauseMillis = 5000;

/** A dead nameserver stays dead for long. */
const proofPauses = { shortestMillis: failurePauseMillis, longestMillis: 60_000 };

/** How often to check whether an address is in use. */
const idlePauseMillis = 1000;

const questionTimeoutMillis = 5000;

/** As many as `DnsTargetSource` asks. If one of two servers is out of date, all questions miss it once in 128 times. */
const proofQuestions = 7;

const proofTimeoutMillis = 1000;

const longestProofMillis = 3000;
