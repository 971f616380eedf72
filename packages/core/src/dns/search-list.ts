import { checkText } from '../input.ts';
import { canonicalName } from '../names/index.ts';
import { aNumber, aText, checkProperties, listOf } from '../shape.ts';

/** See {@link searchCandidates}. */
export interface SearchSettings {
  /** The domains that complete a name, in order. */
  readonly searchDomains: readonly string[];
  /** A name with at least this many dots is first tried as it is. */
  readonly ndots: number;
}

/**
 * The fully qualified names that a host name may stand for, in the order in which libc tries them (resolv.conf(5)): with a trailing
 * dot only the name itself; with at least `ndots` dots the name itself first; otherwise the name itself last.
 */
export function searchCandidates(hostname: string, settings: SearchSettings): readonly string[] {
  checkText('hostname', hostname);
  checkProperties(settings, { searchDomains: listOf(aText), ndots: aNumber() }, 'settings');
  const name = canonicalName(hostname);
  if (hostname.endsWith('.')) return [name];
  const completed = settings.searchDomains.map((domain) => `${name}.${domain}`);
  const dots = name.split('.').length - 1;
  return dots >= settings.ndots ? [name, ...completed] : [...completed, name];
}
