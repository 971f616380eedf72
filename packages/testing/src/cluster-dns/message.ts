/** Record types that the cluster's DNS can put into an answer. */
export type RecordType = DnsRecord['type'];

/** One resource record. Names are fully qualified, with the trailing dot, in the case they are sent in. */
export type DnsRecord = RecordHead &
  (
    | { readonly type: 'A' | 'AAAA' | 'CNAME' | 'NS' | 'PTR'; readonly data: string }
    | { readonly type: 'TXT'; readonly data: readonly string[] }
    | { readonly type: 'SRV'; readonly data: ServiceLocation }
    | { readonly type: 'MX'; readonly data: MailExchange }
    | { readonly type: 'SOA'; readonly data: StartOfAuthority }
  );

interface RecordHead {
  /** Owner of the record. */
  readonly name: string;
  /** Seconds that the record may be kept. */
  readonly ttl: number;
}

/** RFC 2782. */
export interface ServiceLocation {
  readonly priority: number;
  readonly weight: number;
  readonly port: number;
  readonly target: string;
}

/** RFC 1035 section 3.3.9. */
export interface MailExchange {
  readonly preference: number;
  readonly exchange: string;
}

/** RFC 1035 section 3.3.13. */
export interface StartOfAuthority {
  readonly mname: string;
  readonly rname: string;
  readonly serial: number;
  readonly refresh: number;
  readonly retry: number;
  readonly expire: number;
  readonly minimum: number;
}

/** Response codes, by the names that `dig` prints (RFC 1035 section 4.1.1, RFC 2136). */
export type Rcode = 'NOERROR' | 'FORMERR' | 'SERVFAIL' | 'NXDOMAIN' | 'NOTIMP' | 'REFUSED';

/** A question. The type is any of the registry (`A`, `HTTPS`), or `UNKNOWN_<number>`. */
export interface DnsQuestion {
  /** Fully qualified, with the trailing dot, in the case it was asked in. */
  readonly name: string;
  readonly type: string;
}

/** An answer, before it is cut to the size that the transport allows. */
export interface DnsAnswer {
  readonly rcode: Rcode;
  /** AA: the server is authoritative for the zone. */
  readonly authoritative: boolean;
  /** TC: there is more, ask again over TCP. */
  readonly truncated: boolean;
  /** RA: the server follows names for its clients. CoreDNS leaves it out for its own zones. */
  readonly recursionAvailable: boolean;
  readonly answer: readonly DnsRecord[];
  readonly authority: readonly DnsRecord[];
  readonly additional: readonly DnsRecord[];
}

/** Answers a question, or sends no message at all. */
export type Lookup = (question: DnsQuestion) => Promise<DnsAnswer | undefined>;

/** An answer with nothing in it but its code. */
export function emptyAnswer(rcode: Rcode): DnsAnswer {
  return {
    rcode,
    authoritative: false,
    truncated: false,
    recursionAvailable: true,
    answer: [],
    authority: [],
    additional: [],
  };
}

/** The name with its trailing dot, which is added if it is missing. */
export function fullyQualified(name: string): string {
  return name.endsWith('.') ? name : `${name}.`;
}

/** The labels of a name from left to right; none for the root. */
export function labelsOf(name: string): string[] {
  const bare = name.endsWith('.') ? name.slice(0, -1) : name;
  return bare === '' ? [] : bare.split('.');
}

/** Whether `child` is `parent` or a name below it, in any case. Both fully qualified. */
export function isSubdomain(parent: string, child: string): boolean {
  const outer = parent.toLowerCase();
  const inner = child.toLowerCase();
  return outer === '.' || inner === outer || inner.endsWith(`.${outer}`);
}

/** Puts a label or two before a zone. */
export function joinName(prefix: string, zone: string): string {
  return zone === '.' ? `${prefix}.` : `${prefix}.${zone}`;
}
