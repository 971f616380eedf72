import { isIP } from 'node:net';
import type { PeerCertificate } from 'node:tls';
import { parseAddress } from '../addresses/index.ts';
import { ExternalNameError, type ExternalNameErrorOptions } from '../errors.ts';
import { printable } from '../input.ts';
import { canonicalName } from '../names/index.ts';
import { aText, listOf, objectOf } from '../shape.ts';

/** The name that a server has to prove, and the names that led to it. A `Target` has both. */
export interface IdentityTarget {
  /** The name to verify: a host name, or an IP address if the application named one. */
  readonly externalName: string;
  /** The names that led to it, starting with the Service's. */
  readonly via: readonly string[];
}

/** The options of `tls.connect` that decide whose certificate is accepted. */
export interface TlsIdentity {
  /** Sent as SNI. Empty for an IP address, which SNI cannot carry (RFC 6066 section 3). */
  readonly servername: string;
  /** Checks the certificate against the target's name, whatever name the connection was opened with. */
  readonly checkServerIdentity: (hostname: string, certificate: PeerCertificate) => Error | undefined;
}

/**
 * The certificate of the server is for another name. Only the handshake was sent.
 * Code `ERR_EXTERNALNAME_TLS_IDENTITY`; `cause` is Node's own `ERR_TLS_CERT_ALTNAME_INVALID`.
 */
export class TlsIdentityError extends ExternalNameError {
  /** The work did not happen, so repeating it is safe. */
  override readonly outcome = 'not-executed';
  /** The name that the certificate should have had. */
  readonly wanted: string;
  /** The names that led to it, starting with the Service's. */
  readonly via: readonly string[];
  /** The names and addresses in the certificate. The common name counts only if there are no others. */
  readonly certificateNames: readonly string[];

  constructor(target: IdentityTarget, certificateNames: readonly string[], options?: ExternalNameErrorOptions) {
    super('ERR_EXTERNALNAME_TLS_IDENTITY', identityMessage(target, certificateNames), options);
    this.wanted = target.externalName;
    this.via = target.via;
    this.certificateNames = certificateNames;
  }
}

/**
 * Makes the TLS options for a target: the server has to prove the ExternalName, not the name of the Service.
 *
 * The rules are those of Node's `tls.checkServerIdentity` (wildcards for one whole left-most label), with one
 * stricter: the common name counts only if the certificate has no subject alternative names of any kind
 * (RFC 6125 section 6.4.4). Node also uses it if none of the alternative names is a DNS name.
 *
 * TLS itself checks the chain of trust: keep `rejectUnauthorized` on, and pass `ca` if the CA is your own.
 *
 * @example
 * ```ts
 * const target = await source.current(); // webscaler-db -> primary-db.example.com
 * const socket = tls.connect({ host: endpoint.address, port: endpoint.port, ...tlsIdentity(target) });
 * ```
 */
export function tlsIdentity(target: IdentityTarget): TlsIdentity {
  objectOf({ externalName: aText, via: listOf(aText) })('target', target);
  const wanted = canonicalName(target.externalName);
  return {
    servername: isIP(wanted) === 0 ? wanted : '',
    checkServerIdentity: (_hostname, certificate) => {
      const error = nodesVerdict(wanted, withoutPartialWildcards(withoutUnusedCommonName(certificate)));
      if (error === undefined || namesIpv6(certificate, wanted)) return undefined;
      const name = { externalName: wanted, via: target.via };
      return new TlsIdentityError(name, namesOfCertificate(certificate), { cause: error });
    },
  };
}

/** Node throws for names that it cannot read. A throw here would end the process, because TLS calls this from an event. */
function nodesVerdict(wanted: string, certificate: PeerCertificate): Error | undefined {
  try {
    return process.getBuiltinModule('node:tls').checkServerIdentity(wanted, certificate);
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

/**
 * Node.js 22.23 finds no IPv6 address in any certificate, because it passes the literal through `domainToASCII`. So this also
 * looks among the certificate's addresses, the only names that count for an address (RFC 9525 section 6.5).
 */
function namesIpv6(certificate: PeerCertificate, wanted: string): boolean {
  if (isIP(wanted) !== 6) return false;
  const address = parseAddress(wanted)?.canonical;
  return alternativeNames(certificate).some(
    ({ kind, name }) => kind === 'IP Address' && isIP(name) === 6 && parseAddress(name)?.canonical === address,
  );
}

/** Node falls back to the common name if there are alternative names but none is a DNS name. We do not. */
function withoutUnusedCommonName(certificate: PeerCertificate): PeerCertificate {
  if (!certificate.subjectaltname || certificate.subject === undefined) return certificate;
  const { CN: _, ...subject } = certificate.subject;
  return { ...certificate, subject: subject as PeerCertificate['subject'] };
}

/**
 * Node lets `prim*.example.com` stand for `primary.example.com`. In RFC 9525 section 6.3, as in the allow-list
 * and the documentation of this package, a wildcard stands for one whole label, the leftmost.
 */
function withoutPartialWildcards(certificate: PeerCertificate): PeerCertificate {
  const { subjectaltname, subject } = certificate;
  if (subjectaltname) {
    const kept = alternativeNames(certificate).filter(({ kind, name }) => kind !== 'DNS' || isWholeLabel(name));
    return { ...certificate, subjectaltname: kept.map(({ kind, name }) => `${kind}:${name}`).join(', ') };
  }
  const commonNames = [subject?.CN ?? []].flat();
  if (commonNames.every(isWholeLabel)) return certificate;
  const { CN: _, ...rest } = subject;
  return { ...certificate, subject: { ...rest, CN: commonNames.filter(isWholeLabel) } as unknown as typeof subject };
}

function isWholeLabel(name: string): boolean {
  return !name.replace(/^\*\./, '').includes('*');
}

/** The names in the certificate, for display only: Node decides. */
function namesOfCertificate(certificate: PeerCertificate): readonly string[] {
  const { subjectaltname, subject } = certificate;
  if (!subjectaltname) return [subject?.CN ?? []].flat();
  return alternativeNames(certificate).map(({ name }) => name);
}

// Node quotes a name with a comma or a quote in it, as a JSON string (CVE-2021-44532).
function alternativeNames({ subjectaltname }: PeerCertificate): readonly { kind: string; name: string }[] {
  const entries = (subjectaltname ?? '').matchAll(/(?:^|, )([^:",]+):("(?:[^"\\]|\\.)*"|[^,]*)/g);
  return Array.from(entries, ([, kind = '', name = '']) => ({ kind, name }));
}

function identityMessage(target: IdentityTarget, certificateNames: readonly string[]): string {
  const chain = target.via.length === 0 ? '' : ` (${[...target.via, target.externalName].join(' -> ')})`;
  const shown = certificateNames.slice(0, mostNamesShown).map((name) => printable(name, longestNameShown));
  const more = certificateNames.length - shown.length;
  const names = `${shown.join(', ') || 'no name at all'}${more > 0 ? ` and ${more} more` : ''}`;
  return (
    `the server did not prove to be ${target.externalName}${chain}: its certificate is for ${names}. ` +
    'Give the server a certificate for that name, or point the Service to a name that its certificate has'
  );
}

// A certificate may hold thousands of names, and the peer wrote them.
const mostNamesShown = 10;
const longestNameShown = 253;
