import type { WaitOptions } from '../deadline.ts';

/** One CNAME of a chain. */
export interface Hop {
  /** The name that is an alias, canonical. */
  readonly name: string;
  /** The name that it points to, canonical. */
  readonly target: string;
  /** The TTL in seconds, as received. */
  readonly ttlSeconds: number;
  /** The server that said so, `address:port`. */
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
  /** The TTL in seconds, as received. */
  readonly ttlSeconds: number;
}

/** What a name stands for: the whole chain, the addresses at its end, and how long they are valid. */
export interface Resolution {
  /** The requested name, fully qualified and canonical. */
  readonly name: string;
  /** The aliases in order. Empty if `name` itself has the addresses. */
  readonly chain: readonly Hop[];
  /** The last name of the chain, or `name` itself if there is no alias. */
  readonly canonicalName: string;
  /** The addresses of `canonicalName`. */
  readonly addresses: readonly ResolvedAddress[];
  /** When the first of the records used expires, in the resolver's `clock.now()` milliseconds. */
  readonly expiresAt: number;
  /** Whether the answer is expired and was served because no server answered (RFC 8767). */
  readonly stale: boolean;
}

/** See {@link Resolver.resolve}. */
export interface ResolveOptions extends WaitOptions {
  /** Whether to ask the servers even if the cache has an answer. @defaultValue false */
  fresh?: boolean | undefined;
  /** The family of addresses to ask for: 4, 6, or 0 for both. @defaultValue 0 */
  family?: 0 | 4 | 6 | undefined;
  /** The deadline for all queries together, in milliseconds. */
  timeoutMillis?: number | undefined;
}

/**
 * Turns a fully qualified name into its chain and addresses.
 *
 * Rejects with a `ResolutionError` whose `chain` holds the hops found so far, so that the error
 * also names a host that does not exist.
 */
export interface Resolver extends AsyncDisposable {
  /** Resolves a fully qualified name. */
  resolve(name: string, options?: ResolveOptions): Promise<Resolution>;
  /** Ends queries under way and frees sockets and timers. Idempotent. */
  close(): Promise<void>;
}
