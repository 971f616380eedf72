import type { Clock } from '../clock.ts';
import { InvalidArgumentError } from '../errors.ts';
import { canonicalName } from '../names/index.ts';
import { dnsSearchDomainFailedChannel } from './channels.ts';
import { ResolutionError } from './errors.ts';
import { isQueryName } from './message.ts';
import type { Resolution, ResolveOptions } from './resolution.ts';
import { type SearchSettings, searchCandidates } from './search-list.ts';

/** What {@link HostSearch} works with. */
export interface HostSearchDependencies {
  readonly clock: Clock;
  /** Resolves one candidate. */
  readonly resolve: (name: string, options: ResolveOptions) => Promise<Resolution>;
}

/** The candidate of the search list that a host name stood for. */
export interface Match {
  /** The host name, canonical. */
  readonly canonical: string;
  readonly candidate: string;
  /** Until when this candidate is asked first. */
  readonly until: number;
}

/**
 * Finds which name of the search list a host name stands for, and remembers it.
 *
 * If a candidate does not exist, the next one is tried, as in libc. If no server answers for a candidate, resolvers differ: musl ends
 * the lookup; glibc goes on after SERVFAIL, ends the list after REFUSED or a timeout, and tries the name as it is in both cases;
 * c-ares goes on after SERVFAIL and ends the lookup otherwise; Go always goes on. Going on lets a name stand for another host while
 * its own domain is down. Ending the lookup makes every external name of a pod depend on each search domain (`ndots:5`). So the list
 * ends there, and only the name as it is may follow, if it has a dot and never stood for anything else in this process: that is what
 * `db.example.com` is meant to be. A channel reports each such result, and it counts for ten seconds.
 */
export class HostSearch {
  readonly #clock: Clock;
  readonly #resolve: HostSearchDependencies['resolve'];
  /** By {@link keyOf}. Expired entries are kept until the name is found again. */
  readonly #matches = new Map<string, Match>();

  constructor({ clock, resolve }: HostSearchDependencies) {
    this.#clock = clock;
    this.#resolve = resolve;
  }

  /**
   * Looks for the host along the search list. `timeoutMillis` is the deadline for the whole search.
   *
   * @throws ResolutionError of the candidate that came closest, or of the name itself if none exists
   * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT` for what cannot be a name
   */
  async find(
    hostname: string,
    settings: SearchSettings,
    options: ResolveOptions & { readonly timeoutMillis: number },
  ): Promise<Resolution> {
    const candidates = searchCandidates(hostname, settings).filter(isQueryName);
    if (candidates.length === 0) {
      throw new InvalidArgumentError('hostname', `${JSON.stringify(hostname.slice(0, 300))} is not a host name`);
    }
    const deadline = this.#clock.now() + options.timeoutMillis;
    const left = () => Math.max(Math.ceil(deadline - this.#clock.now()), 0);
    const asItIs = this.#mayBeTakenAsItIs(hostname, candidates, options.family) ? candidates.at(-1) : undefined;
    let closest: ResolutionError | undefined;
    for (const candidate of candidates) {
      // A silent domain must not use up the time for the name as it is.
      const timeoutMillis = asItIs === undefined || candidate === asItIs ? left() : Math.ceil(left() / 2);
      try {
        const resolution = await this.#resolve(candidate, { ...options, timeoutMillis });
        this.#remember(hostname, options.family, candidate, matchMemoryMillis);
        return resolution;
      } catch (error) {
        if (asItIs !== undefined && candidate !== asItIs && isUnanswered(error)) {
          return await this.#past(error, hostname, asItIs, { ...options, timeoutMillis: left() });
        }
        if (!isMiss(error)) throw error;
        if (closest === undefined || (closest.failure === 'not-found' && error.failure === 'no-address'))
          closest = error;
      }
    }
    const failure = closest?.failure ?? 'not-found';
    const tried = candidates.length > 1 ? `, tried as ${candidates.join(', ')}` : '';
    const detail = `${failure === 'no-address' ? 'no address' : 'NXDOMAIN'}${tried}`;
    throw new ResolutionError(failure, canonicalName(hostname), { detail, cause: closest });
  }

  /** What the host name last stood for, however long ago. */
  last(hostname: string, family: ResolveOptions['family']): Match | undefined {
    return this.#matches.get(keyOf(hostname, family));
  }

  /** The candidate to ask first. */
  current(hostname: string, family: ResolveOptions['family']): Match | undefined {
    const match = this.last(hostname, family);
    return match !== undefined && this.#clock.now() < match.until ? match : undefined;
  }

  /** Forgets what a host name stood for, for one family or for all. Without a name, forgets everything. */
  forget(hostname?: string, ...families: readonly (0 | 4 | 6)[]): void {
    if (hostname === undefined) this.#matches.clear();
    else
      for (const family of families.length > 0 ? families : allFamilies) this.#matches.delete(keyOf(hostname, family));
  }

  // The name as it is, after a search domain that did not answer. If it does not exist, it may exist in that domain.
  async #past(failed: ResolutionError, hostname: string, asItIs: string, options: ResolveOptions): Promise<Resolution> {
    let resolution: Resolution;
    try {
      resolution = await this.#resolve(asItIs, options);
    } catch (error) {
      throw isMiss(error) ? failed : error;
    }
    this.#remember(hostname, options.family, asItIs, pastMemoryMillis);
    dnsSearchDomainFailedChannel.publish(() => ({ hostname, failed: failed.hostname, name: asItIs, error: failed }));
    return resolution;
  }

  // A name without a dot means a host in a search domain. So does a name that was found in one before.
  #mayBeTakenAsItIs(hostname: string, candidates: readonly string[], family: ResolveOptions['family']): boolean {
    const name = canonicalName(hostname);
    if (candidates.at(-1) !== name || !name.includes('.')) return false;
    const known = [family, ...allFamilies].map((each) => this.last(hostname, each));
    return known.every((match) => match === undefined || match.candidate === name);
  }

  #remember(hostname: string, family: ResolveOptions['family'], candidate: string, millis: number): void {
    if (this.#matches.size >= mostRemembered) this.#matches.clear();
    const until = this.#clock.now() + millis;
    this.#matches.set(keyOf(hostname, family), { canonical: canonicalName(hostname), candidate, until });
  }
}

/** Whether the candidate is not a host, so that the next one is tried. A candidate with aliases exists, even if they lead nowhere. */
export function isMiss(error: unknown): error is ResolutionError {
  return (
    error instanceof ResolutionError &&
    (error.failure === 'not-found' || error.failure === 'no-address') &&
    error.chain.length === 0
  );
}

// A known alias exists: the name is found, but leads nowhere now.
function isUnanswered(error: unknown): error is ResolutionError {
  return error instanceof ResolutionError && error.failure === 'unavailable' && error.chain.length === 0;
}

// A candidate with an address of one family is not a match for the other family.
function keyOf(hostname: string, family: ResolveOptions['family'] = 0): string {
  return `${family} ${hostname}`;
}

const allFamilies = [0, 4, 6] as const;

/** How long the matching candidate of a host name is tried first. */
const matchMemoryMillis = 60_000;

/** The same for a name that was used as it is because a search domain did not answer. */
const pastMemoryMillis = 10_000;

const mostRemembered = 10_000;
