import { setMaxListeners } from 'node:events';
import type { Clock, Random } from '../clock.ts';
import { abortable } from '../deadline.ts';
import {
  DnsResolver,
  type DnsResolverOptions,
  type Resolution,
  ResolutionError,
  type ResolveOptions,
  type Resolver,
  resolverSettings,
} from '../dns/index.ts';
import { ClosedError } from '../errors.ts';
import { numberOf } from '../object-number.ts';
import { type AddressUser, AddressWatch } from './address-watch.ts';
import { DnsTargetSource, type DnsTargetSourceOptions, type FollowedName, followedName } from './dns-source.ts';
import { SharedLooks } from './shared-looks.ts';
import { type CurrentOptions, checkCurrentOptions, type Target, type TargetSource } from './target-source.ts';

/** One user's share in a resolver, and in the sources and watches on it, which others in this process share as well. */
export interface SharedDns extends AsyncDisposable {
  /**
   * The resolver. It is made at first use.
   *
   * @throws ClosedError `ERR_EXTERNALNAME_CLOSED`
   */
  readonly resolver: Resolver;
  /** The domains that complete a plain name. None if the caller gave the resolver. */
  readonly searchDomains: readonly string[];
  /** A source for this user, backed by one source for all that follow the same name. Ends with this share. */
  follow(options: FollowOptions): TargetSource;
  /** Informs the user of addresses that have left a name, until the returned function is called or this share ends. */
  watchAddresses(name: string, user: AddressUser): () => void;
  /** Ends this user's share. If it was the last one, resolves after the shared objects are closed. Idempotent. */
  close(): Promise<void>;
}

/** What a source of {@link SharedDns} takes. */
export type FollowOptions = Omit<DnsTargetSourceOptions, 'resolver'>;

/**
 * Shares DNS among the users in this process with the same options (or the same resolver, which its owner closes) and the
 * same clock. Fifty pools that read one resolv.conf have one cache, and ask once a TTL for each name that they follow.
 *
 * Only DNS answers are shared. Each user has its own policy, subscriptions, errors and waits. A user joins when it first asks, so
 * an unused one leaves nothing behind.
 *
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT`, naming the option at fault
 *
 * @internal
 */
export function shareDns(
  dns: Resolver | DnsResolverOptions | undefined,
  dependencies: { clock: Clock; random: Random },
): SharedDns {
  const { clock, random } = dependencies;
  const identity = isResolver(dns) ? numberOf(dns) : resolverSettings(dns);
  const key = JSON.stringify([identity, numberOf(clock), numberOf(random)]);
  return new DnsPart(
    () => asking.join(key, () => new Asking(dns, dependencies)),
    () => (isResolver(dns) ? [] : new DnsResolver(dns, dependencies).searchDomains),
  );
}

/** How many resolvers are shared in this process now. For tests. */
export function sharedDnsCount(): number {
  return asking.size;
}

/** What a user has of a shared thing. */
interface Part<Thing> {
  readonly thing: Thing;
  /** Resolves after the object is closed, if this user was the last. Idempotent. */
  leave(): Promise<void>;
}

/** Objects that are made for the first user of a key and closed when the last one leaves. */
class Shared<Thing extends { close(): Promise<void> }> {
  readonly #kept = new Map<string, { readonly thing: Thing; users: number }>();

  get size(): number {
    return this.#kept.size;
  }

  join(key: string, make: () => Thing): Part<Thing> {
    const kept = this.#kept.get(key) ?? { thing: make(), users: 0 };
    this.#kept.set(key, kept);
    kept.users += 1;
    let left: Promise<void> | undefined;
    const leave = async () => {
      kept.users -= 1;
      if (kept.users > 0) return;
      // The next user gets a new object and does not wait until this one is closed.
      this.#kept.delete(key);
      await kept.thing.close();
    };
    return {
      thing: kept.thing,
      leave: () => {
        left ??= leave();
        return left;
      },
    };
  }
}

/** A resolver, with the sources and watches on it. */
class Asking {
  readonly resolver: Resolver;
  readonly sources = new Shared<DnsTargetSource>();
  readonly watches = new Shared<AddressWatch>();
  readonly looks: SharedLooks;
  #own: DnsResolver | undefined;
  readonly #dependencies: { clock: Clock; random: Random };

  constructor(dns: Resolver | DnsResolverOptions | undefined, dependencies: { clock: Clock; random: Random }) {
    this.#dependencies = dependencies;
    this.looks = new SharedLooks(dependencies.clock);
    if (isResolver(dns)) this.resolver = dns;
    else this.resolver = this.#own = new DnsResolver(dns, dependencies);
  }

  joinSource(options: FollowOptions, { name, clusterDomain }: FollowedName): Part<DnsTargetSource> {
    const key = JSON.stringify([name, clusterDomain, options.timeoutMillis ?? null]);
    const make = () => new DnsTargetSource({ ...options, resolver: this.resolver }, this.#dependencies);
    return this.sources.join(key, make);
  }

  joinWatch(name: string): Part<AddressWatch> {
    return this.watches.join(name, () => new AddressWatch(name, this.resolver, this.#dependencies.clock));
  }

  async close(): Promise<void> {
    this.looks.close();
    await this.#own?.close();
  }
}

class DnsPart implements SharedDns {
  readonly #join: () => Part<Asking>;
  readonly #readSearchDomains: () => readonly string[];
  readonly #sources: TargetSource[] = [];
  readonly #watches = new Set<() => Promise<void>>();
  #part: Part<Asking> | undefined;
  #resolver: Resolver | undefined;
  #closed: Promise<void> | undefined;

  constructor(join: () => Part<Asking>, readSearchDomains: () => readonly string[]) {
    this.#join = join;
    this.#readSearchDomains = readSearchDomains;
  }

  get resolver(): Resolver {
    const shared = this.#joined();
    this.#resolver ??= new PartResolver(shared);
    return this.#resolver;
  }

  get searchDomains(): readonly string[] {
    return this.#readSearchDomains();
  }

  follow(options: FollowOptions): TargetSource {
    const followed = followedName(options);
    const source = new SourcePart(() => {
      const shared = this.#joined();
      return { ...shared.joinSource(options, followed), looks: shared.looks };
    });
    this.#sources.push(source);
    return source;
  }

  watchAddresses(name: string, user: AddressUser): () => void {
    const { thing, leave } = this.#joined().joinWatch(name);
    const stop = thing.join(user);
    const end = () => {
      stop();
      this.#watches.delete(end);
      return leave();
    };
    this.#watches.add(end);
    return () => {
      // Never rejects.
      end().catch(() => undefined);
    };
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #joined(): Asking {
    if (this.#closed !== undefined) throw new ClosedError('the DNS resolver');
    this.#part ??= this.#join();
    return this.#part.thing;
  }

  async #close(): Promise<void> {
    await Promise.all([...this.#sources.map((source) => source.close()), ...[...this.#watches].map((end) => end())]);
    await this.#part?.leave();
  }
}

/** One user's view of the resolver. Fresh questions are shared with other users, and closing the view does not close the resolver. */
class PartResolver implements Resolver {
  readonly #asking: Asking;

  constructor(shared: Asking) {
    this.#asking = shared;
  }

  async resolve(name: string, options: ResolveOptions = {}): Promise<Resolution> {
    const { resolver, looks } = this.#asking;
    const { fresh = false, signal, ...rest } = options;
    if (!fresh) return await resolver.resolve(name, options);
    signal?.throwIfAborted();
    const key = `addresses ${rest.family ?? 0} ${rest.timeoutMillis ?? ''} ${name}`;
    try {
      return await abortable(
        looks.look(key, this, () => resolver.resolve(name, { ...rest, fresh })),
        signal,
      );
    } catch (error) {
      throw ownCopy(error);
    }
  }

  async close(): Promise<void> {}

  async [Symbol.asyncDispose](): Promise<void> {}
}

/** A part in a source, and the looks that are shared. */
interface JoinedSource extends Part<DnsTargetSource> {
  readonly looks: SharedLooks;
}

/** One user's part in a source. Its end ends the user's subscriptions and waits, and nothing of the others. */
class SourcePart implements TargetSource {
  readonly #join: () => JoinedSource;
  readonly #subscriptions = new Set<() => void>();
  readonly #closing = new AbortController();
  #part: JoinedSource | undefined;
  #closed: Promise<void> | undefined;

  constructor(join: () => JoinedSource) {
    this.#join = join;
    // One listener for each wait is not a leak.
    setMaxListeners(0, this.#closing.signal);
  }

  get known(): Target | undefined {
    return this.#closed === undefined ? this.#part?.thing.known : undefined;
  }

  get confirmedMillisAgo(): number | undefined {
    return this.#closed === undefined ? this.#part?.thing.confirmedMillisAgo : undefined;
  }

  async current(options: CurrentOptions = {}): Promise<Target> {
    checkCurrentOptions(options);
    const { fresh = false, signal } = options;
    const { thing: source, looks } = this.#joined();
    const ask = () => source.current({ fresh });
    try {
      const answer = fresh ? looks.look(`target ${source.name}`, this, ask) : ask();
      return await abortable(abortable(answer, signal), this.#closing.signal);
    } catch (error) {
      throw ownCopy(error);
    }
  }

  subscribe(listener: (target: Target) => void): () => void {
    const unsubscribe = this.#joined().thing.subscribe(listener);
    this.#subscriptions.add(unsubscribe);
    return () => {
      this.#subscriptions.delete(unsubscribe);
      unsubscribe();
    };
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #joined(): JoinedSource {
    if (this.#closed !== undefined) throw new ClosedError('the target source');
    this.#part ??= this.#join();
    return this.#part;
  }

  async #close(): Promise<void> {
    this.#closing.abort(new ClosedError('the target source'));
    for (const unsubscribe of this.#subscriptions) unsubscribe();
    this.#subscriptions.clear();
    await this.#part?.leave();
  }
}

// Many callers may wait for one question, and each pool adds its own facts to the error.
function ownCopy(error: unknown): unknown {
  if (!(error instanceof ResolutionError)) return error;
  const { failure, hostname, chain, detail, cause } = error;
  return new ResolutionError(failure, hostname, { chain, detail, cause });
}

function isResolver(dns: Resolver | DnsResolverOptions | undefined): dns is Resolver {
  return dns !== undefined && typeof (dns as Partial<Resolver>).resolve === 'function';
}

const asking = new Shared<Asking>();
