/** What a resolver has done. All are counts since it was made, except `cache.names`. */
export interface DnsStatistics {
  /** Queries sent: each datagram and each query over TCP. */
  readonly queries: number;
  /** Queries over TCP, which also count as `queries`. */
  readonly tcpQueries: number;
  /** Accepted answers, whatever their code. */
  readonly answers: number;
  /** Accepted answers that came after the timeout of their query. */
  readonly lateAnswers: number;
  /** Queries that no server answered in time. */
  readonly timeouts: number;
  /** Queries that ended with a network error. */
  readonly networkErrors: number;
  /** Queries that a server answered with SERVFAIL, REFUSED or another code that says nothing about the name. */
  readonly serverFailures: number;
  /** Queries repeated without EDNS0 because the server did not understand it. */
  readonly ednsFallbacks: number;
  /**
   * Messages from the server's address that were dropped while the query went on waiting. Datagrams from other addresses and ports
   * never arrive: the kernel drops them, because the sockets are connected.
   */
  readonly ignored: {
    /** Not a well-formed response. */
    readonly malformed: number;
    /** The id of another query. */
    readonly wrongId: number;
    /** Another question. */
    readonly wrongQuestion: number;
  };
  /** What the cache did, and how many names it holds. */
  readonly cache: {
    /** Calls answered from the cache before the records expired, negative answers and failures included. */
    readonly hits: number;
    /** Calls that led to queries, or waited for queries under way. */
    readonly misses: number;
    /** Misses that waited for queries which another call had begun. */
    readonly coalesced: number;
    /** Calls answered with expired records because no server answered (RFC 8767). */
    readonly stale: number;
    /** Refreshes begun before the records expired. */
    readonly prefetches: number;
    /** Names dropped because the cache was full. */
    readonly evictions: number;
    /** Names in the cache now. */
    readonly names: number;
  };
}

/** The counters of a resolver. @internal */
export class DnsCounters {
  queries = 0;
  tcpQueries = 0;
  answers = 0;
  lateAnswers = 0;
  timeouts = 0;
  networkErrors = 0;
  serverFailures = 0;
  ednsFallbacks = 0;
  malformed = 0;
  wrongId = 0;
  wrongQuestion = 0;
  hits = 0;
  misses = 0;
  coalesced = 0;
  stale = 0;
  prefetches = 0;

  report(cache: { readonly evictions: number; readonly names: number }): DnsStatistics {
    const { queries, tcpQueries, answers, lateAnswers, timeouts, networkErrors, serverFailures, ednsFallbacks } = this;
    const { malformed, wrongId, wrongQuestion, hits, misses, coalesced, stale, prefetches } = this;
    return {
      queries,
      tcpQueries,
      answers,
      lateAnswers,
      timeouts,
      networkErrors,
      serverFailures,
      ednsFallbacks,
      ignored: { malformed, wrongId, wrongQuestion },
      cache: { hits, misses, coalesced, stale, prefetches, evictions: cache.evictions, names: cache.names },
    };
  }
}
