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
  /** Of DNS: how long the answer may be kept. */
  readonly ttlSeconds?: number | undefined;
  /** Of DNS: how long the answer took. */
  readonly elapsedMillis?: number | undefined;
  /** The source cannot confirm it at the moment. */
  readonly stale?: boolean | undefined;
  /** Why nothing is seen, or why the host has no address. */
  readonly error?: string | undefined;
}

/** The last sight of each source, and since when it has looked so. */
export class Sights {
  readonly #last = new Map<string, { readonly sight: Sight; readonly since: Date }>();

  /** All of them, in the order in which they are shown. */
  readonly sources: readonly string[];

  constructor(sources: readonly string[]) {
    this.sources = sources;
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
    return this.sources.every((source) => {
      const sight = this.#last.get(source)?.sight;
      return sight?.target === target && sight.stale !== true;
    });
  }

  /** A row for each source: how it looks at the moment. */
  rows(at: Date): readonly string[] {
    const width = Math.max(...this.sources.map((source) => source.length));
    return this.sources.map((source) => {
      const last = this.#last.get(source);
      if (last === undefined) return `${source.padEnd(width)}  nothing yet`;
      const seconds = Math.max(0, Math.round((at.getTime() - last.since.getTime()) / 1_000));
      const { elapsedMillis, ttlSeconds } = last.sight;
      const answer = elapsedMillis === undefined ? '' : `  TTL ${ttlSeconds ?? '?'} s, ${Math.round(elapsedMillis)} ms`;
      return `${source.padEnd(width)}  ${nameOf(last.sight)}  for ${seconds} s${answer}`;
    });
  }

  /** The line of a sight that differs: when and who, and what. */
  line(sight: Sight): readonly [lead: string, text: string] {
    const width = Math.max(...this.sources.map((source) => source.length));
    const { at, source, addresses = [], stale, error } = sight;
    const facts = [
      nameOf(sight),
      addresses.join(', '),
      stale === true ? 'not confirmed at the moment' : '',
      sight.target === undefined ? '' : (error ?? ''),
    ];
    const lead = `${at.toISOString().slice(11, 23)}  ${source.padEnd(width)}  `;
    return [lead, facts.filter((fact) => fact !== '').join('  ')];
  }
}

function nameOf({ target, error }: Sight): string {
  return target ?? error ?? 'nothing';
}

function keyOf({ target, addresses, stale, error }: Sight): string {
  return JSON.stringify([target, addresses, stale ?? false, error]);
}
