/** What a resolver did so far. All are counts since it was made, but for `cache.names`. */
export interface DnsStatistics {
  /** Queries sent: each datagram and each query over TCP. */
  readonly queries: number;
  /** Of these, the ones over TCP. */
  readonly tcpQueries: number;
  /** Answers taken, whatever their code. */
  readonly answers: number;
  /** Of these, the ones that came after their query's time-out and were of use all the same. */
  readonly lateAnswers: number;
  /** Queries that nobody answered in time. */
  readonly timeouts: number;
  /** Queries that ended with an error of the network. */
  readonly networkErrors: number;
  /** Queries that a server answered with SERVFAIL, REFUSED or another code that says nothing about the name. */
  readonly serverFailures: number;
  /** Queries repeated without EDNS0 because the server did not understand it. */
  readonly ednsFallbacks: number;
  /**
   * Messages from the server's address that were dropped while the query waited on. Datagrams from other addresses and ports never
   * arrive: the kernel drops them, since the sockets are connected.
   */
  readonly ignored: {
    /** No well-formed response. */
    readonly malformed: number;
    /** The id of another query. */
    readonly wrongId: number;
    /** Another question than the one put. */
    readonly wrongQuestion: number;
  };
  /** What the cache did, and how many names it holds. */
  readonly cache: {
    /** Calls answered from the cache within the records' time, negative answers and failures included. */
    readonly hits: number;
    /** Calls that led to queries, or waited for queries under way. */
    readonly misses: number;
    /** Of the misses, the ones that waited for queries that another call had begun. */
    readonly coalesced: number;
    /** Calls answered past the records' time because no server answered (RFC 8767). */
    readonly stale: number;
    /** Refreshes begun before the records' end. */
    readonly prefetches: number;
    /** Names dropped because the cache was full. */
    readonly evictions: number;
    /** Names held now. */
    readonly names: number;
  };
}

/** Where the parts of a resolver count. @internal */
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
