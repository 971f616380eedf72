import { checkText } from '../input.ts';
import { canonicalName } from '../names/index.ts';
import { aText, checkOptions, optional, recordOf } from '../shape.ts';

/**
 * What resolv.conf says. Source: resolv.conf(5) of glibc.
 *
 * What the file omits is missing here, and the resolver's defaults apply.
 */
export interface ResolvConf {
  /** Addresses in the file's order, at most three; `127.0.0.1` if the file names none, as in libc. */
  readonly nameservers: readonly string[];
  /** The search list, canonical. */
  readonly searchDomains: readonly string[];
  /** Names with at least this many dots are tried as they are first. 0 to 15; 1 unless set. */
  readonly ndots: number;
  /** `timeout:`, 1 to 30 s, here in milliseconds. */
  readonly timeoutMillis?: number;
  /** `attempts:`, 1 to 5. */
  readonly attempts?: number;
  /** Whether `options rotate` is set. */
  readonly rotate: boolean;
  /** `use-vc`: TCP from the start. */
  readonly useTcp: boolean;
  /** Whether `options edns0` is set. */
  readonly edns0: boolean;
}

/** What matters besides the file itself. */
export interface ResolvConfContext {
  /** The machine's own name: its domain is the search list if the file has none. */
  hostname?: string | undefined;
  /** `LOCALDOMAIN` replaces the search list. `RES_OPTIONS` is read after the file's options. */
  environment?: { readonly [name: string]: string | undefined } | undefined;
}

/** Reads a resolv.conf. Skips what it does not understand, as libc does. Never throws. */
export function parseResolvConf(text: string, context: ResolvConfContext = {}): ResolvConf {
  checkText('text', text);
  checkOptions(context, { hostname: optional(aText), environment: optional(recordOf(optional(aText))) }, 'context');
  const nameservers: string[] = [];
  let searchDomains: string[] | undefined;
  const options: string[] = [];
  for (const line of text.split(/\r?\n/)) {
    if (/^[#;]/.test(line)) continue;
    const [keyword, ...values] = line.trim().split(/[ \t]+/);
    if (keyword === 'nameserver' && values[0] !== undefined) nameservers.push(values[0]);
    // The last of `domain` and `search` counts.
    else if (keyword === 'search') searchDomains = values;
    else if (keyword === 'domain' && values[0] !== undefined) searchDomains = [values[0]];
    else if (keyword === 'options') options.push(...values);
  }
  const { hostname, environment } = context;
  const localDomain = words(environment?.['LOCALDOMAIN']);
  if (localDomain.length > 0) searchDomains = localDomain;
  searchDomains ??= domainOf(hostname);
  return {
    nameservers: nameservers.length > 0 ? nameservers.slice(0, mostNameservers) : ['127.0.0.1'],
    searchDomains: searchDomains.map(canonicalName).filter((domain) => domain !== '.' && domain !== ''),
    ...readOptions([...options, ...words(environment?.['RES_OPTIONS'])]),
  };
}

type ResolvConfOptions = Omit<ResolvConf, 'nameservers' | 'searchDomains'>;

function readOptions(options: readonly string[]): ResolvConfOptions {
  const has = (name: string) => options.includes(name);
  const timeoutSeconds = numberOf(options, 'timeout', 1, 30);
  const attempts = numberOf(options, 'attempts', 1, 5);
  return {
    ndots: numberOf(options, 'ndots', 0, 15) ?? 1,
    ...(timeoutSeconds === undefined ? {} : { timeoutMillis: timeoutSeconds * 1000 }),
    ...(attempts === undefined ? {} : { attempts }),
    rotate: has('rotate'),
    useTcp: has('use-vc'),
    edns0: has('edns0'),
  };
}

// The last one counts. A value beyond the limits is cut to them (resolv.conf(5)).
function numberOf(options: readonly string[], name: string, least: number, most: number): number | undefined {
  const found = options.findLast((option) => option.startsWith(`${name}:`));
  const value = found === undefined ? Number.NaN : Number.parseInt(found.slice(name.length + 1), 10);
  return Number.isNaN(value) ? undefined : Math.min(Math.max(value, least), most);
}

function words(text: string | undefined): string[] {
  return text?.split(/[ \t]+/).filter((word) => word !== '') ?? [];
}

function domainOf(hostname: string | undefined): string[] {
  const dot = hostname?.indexOf('.') ?? -1;
  return hostname === undefined || dot < 0 ? [] : [hostname.slice(dot + 1)];
}

/** MAXNS of glibc. */
const mostNameservers = 3;
