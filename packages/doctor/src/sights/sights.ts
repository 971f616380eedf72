/** What one source says at one moment. */
export interface Sight {
  /** `kubernetes`, or `dns` and the address of the server. */
  readonly source: string;
  /** Wall clock. */
  readonly at: Date;
  /** Where the Service points, as this source sees it. */
  readonly target?: string | undefined;
  /** Of DNS: the addresses of that host, in order of their bytes. */
  readonly addresses?: readonly string[] | undefined;
  /** Of DNS: how long the answer may be kept. Seconds. */
  readonly ttlSeconds?: number | undefined;
  /** Of DNS: how long the answer took. Milliseconds. */
  readonly elapsedMillis?: number | undefined;
  /** The source cannot confirm it at the moment. */
  readonly stale?: boolean | undefined;
  /** Why nothing is seen, or why the host has no address. */
  readonly error?: string | undefined;
}

/** How a source looks at the moment. */
export interface SightedSource {
  /** As in {@link Sight.source}. */
  readonly source: string;
  /** Its last sight; undefined if there was none yet. */
  readonly sight: Sight | undefined;
  /** Since when it has looked so. */
  readonly since: Date | undefined;
}

/** The last sight of each source, and since when it has looked so. */
export class Sights {
  readonly #last = new Map<string, { readonly sight: Sight; readonly since: Date }>();
  readonly #sources: readonly string[];

  constructor(sources: readonly string[]) {
    this.#sources = sources;
  }

  /** Takes a sight, and returns whether it differs from the source's last one. The TTL counts down and the times vary: they do not count. */
  take(sight: Sight): boolean {
    const before = this.#last.get(sight.source);
    const differs = before === undefined || keyOf(before.sight) !== keyOf(sight);
    this.#last.set(sight.source, { sight, since: differs ? sight.at : before.since });
    return differs;
  }

  /** Whether every source sees that host, and none doubts it. */
  all(target: string): boolean {
    return this.#sources.every((source) => {
      const sight = this.#last.get(source)?.sight;
      return sight?.target === target && sight.stale !== true;
    });
  }

  /** How each source looks at the moment. */
  sources(): readonly SightedSource[] {
    return this.#sources.map((source) => {
      const last = this.#last.get(source);
      return { source, sight: last?.sight, since: last?.since };
    });
  }
}

function keyOf({ target, addresses, stale, error }: Sight): string {
  return JSON.stringify([target, addresses, stale ?? false, error]);
}
