import type { WaitOptions } from '../deadline.ts';

/** One CNAME of a chain. */
export interface Hop {
  /** Who has the alias; canonical. */
  readonly name: string;
  /** What it points to; canonical. */
  readonly target: string;
  /** Seconds that the answer may be kept, as received. */
  readonly ttlSeconds: number;
  /** Which server said so, `address:port`. */
  readonly server: string;
  /** How long the query that brought it took, in milliseconds. */
  readonly elapsedMillis: number;
}

/** One address record at the end of a chain. */
export interface ResolvedAddress {
  /** IPv4 or IPv6 address, as text. */
  readonly address: string;
  /** The family of the address. */
  readonly family: 4 | 6;
  /** Seconds, as received. */
  readonly ttlSeconds: number;
}

/** What a name stands for right now: the whole chain, the addresses behind it, and until when to believe it. */
export interface Resolution {
  /** The name that was asked for, fully qualified and canonical. */
  readonly name: string;
  /** The aliases in order; empty where `name` has addresses of its own. */
  readonly chain: readonly Hop[];
  /** The last name of the chain (`name` itself where there is none). */
  readonly canonicalName: string;
  /** The addresses of `canonicalName`. */
  readonly addresses: readonly ResolvedAddress[];
  /** When the first of the records used expires, in the resolver's `clock.now()` milliseconds. */
  readonly expiresAt: number;
  /** Whether it was served past its time because no server answered (RFC 8767). */
  readonly stale: boolean;
}

/** See {@link Resolver.resolve}. */
export interface ResolveOptions extends WaitOptions {
  /** Asks the servers, whatever the cache holds. @defaultValue false */
  fresh?: boolean | undefined;
  /** Which addresses to ask for. @defaultValue 0, both */
  family?: 0 | 4 | 6 | undefined;
  /** One deadline for all queries together, in milliseconds. */
  timeoutMillis?: number | undefined;
}

/**
 * Turns a fully qualified name into its chain and addresses.
 *
 * Rejects with a `ResolutionError` whose `chain` holds the hops found so far, so that "the service points
 * at a host that does not exist" still tells which host.
 */
export interface Resolver extends AsyncDisposable {
  /** Resolves a fully qualified name. */
  resolve(name: string, options?: ResolveOptions): Promise<Resolution>;
  /** Ends queries under way and frees sockets and timers. Idempotent. */
  close(): Promise<void>;
}
