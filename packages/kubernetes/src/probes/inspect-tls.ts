import { X509Certificate } from 'node:crypto';
import { isIP, type Socket } from 'node:net';
import {
  connect as connectTls,
  type DetailedPeerCertificate,
  type SecureContextOptions,
  type TLSSocket,
} from 'node:tls';
import {
  DeadlineError,
  type IdentityTarget,
  TlsIdentityError,
  tlsIdentity,
  type WaitOptions,
} from '@externalname/core';
import {
  aNumber,
  anything,
  aSignal,
  aText,
  checkOptions,
  listOf,
  objectOf,
  onAbort,
  oneOf,
  optional,
  ownOptions,
  printable,
  withDeadline,
} from '@externalname/core/internal';
import { askForTls, openSocket } from './open-socket.ts';

/** See {@link inspectTls}. */
export interface InspectTlsOptions extends WaitOptions {
  /** The name that the server has to prove, and the names that led to it. */
  target: IdentityTarget;
  /** Where the server is: one of the target's addresses. */
  address: string;
  /** 1 to 65535. */
  port: number;
  /** PEM certificates to trust. @defaultValue the ones that Node.js trusts */
  ca?: SecureContextOptions['ca'];
  /** `postgres` asks for TLS in PostgreSQL's own way first (SSLRequest). @defaultValue `tls` */
  protocol?: 'tls' | 'postgres' | undefined;
  /** Longest time for all of it. Milliseconds, 1 to 600000. @defaultValue 5000 */
  timeoutMillis?: number | undefined;
}

/** What a server showed in a TLS handshake. */
export interface TlsInspection {
  /** `TLSv1.3` */
  readonly protocol: string;
  /** Name of the cipher suite. */
  readonly cipher: string;
  /** Why the certificate is not trusted here, as OpenSSL calls it (`CERT_HAS_EXPIRED`); undefined if it is. */
  readonly distrust: string | undefined;
  /** Why the certificate does not prove the target; undefined if it does. */
  readonly identity: TlsIdentityError | undefined;
  /** The names and addresses in the certificate. The common name counts only if there are no others. */
  readonly names: readonly string[];
  /** Whether the certificate names its host in the common name alone, which most clients but Node.js refuse. */
  readonly commonNameOnly: boolean;
  /** What the server sent, its own certificate first. */
  readonly chain: readonly ShownCertificate[];
}

/** A certificate of a {@link TlsInspection}. */
export interface ShownCertificate {
  /** In one line. */
  readonly subject: string;
  /** In one line. */
  readonly issuer: string;
  /** Start of validity, RFC 3339. */
  readonly validFrom: string;
  /** End of validity, RFC 3339. */
  readonly validTo: string;
}

/**
 * Looks at the TLS of a server, whatever its certificate is: the protocol, the names, the chain, and why it would be refused. Nothing
 * but the handshake is sent, and no certificate is refused: send nothing over such a connection. Protocols that clients refuse today
 * (TLS 1.0, TLS 1.1) are offered as well, so that they can be named.
 *
 * @throws Error with `code` of the socket (`ECONNREFUSED`, ...), or `NO_TLS` if a PostgreSQL server refuses TLS
 * @throws DeadlineError `ERR_EXTERNALNAME_DEADLINE`
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT`
 *
 * @example
 * ```ts
 * const target = { externalName: 'primary-db.example.com', via: [] };
 * const { names, chain } = await inspectTls({ target, address: '203.0.113.7', port: 5432, protocol: 'postgres' });
 * console.log(names, chain[0]?.validTo);
 * ```
 */
export async function inspectTls(given: InspectTlsOptions): Promise<TlsInspection> {
  const options = ownOptions(given);
  checkOptions<InspectTlsOptions>(options, {
    target: objectOf({ externalName: aText, via: listOf(aText) }),
    address: aText,
    port: aNumber({ least: 1, most: 65_535, whole: true }),
    ca: anything,
    protocol: optional(oneOf('tls', 'postgres')),
    timeoutMillis: optional(aNumber({ least: 1, most: 600_000 })),
    signal: aSignal,
  });
  const { target, address, port, protocol, timeoutMillis = 5_000, signal } = options;
  return withDeadline(
    async (within) => {
      const socket = await openSocket(address, { port }, within);
      try {
        if (protocol === 'postgres') await askForTls(socket, within);
        return inspect(await handshake(socket, options, within), target);
      } finally {
        socket.destroy();
      }
    },
    {
      signal,
      timeoutMillis,
      onTimeout: () => new DeadlineError(`the TLS handshake with ${address}:${port}`, timeoutMillis),
    },
  );
}

function handshake(socket: Socket, { target, ca }: InspectTlsOptions, signal: AbortSignal): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const servername = isIP(target.externalName) === 0 ? target.externalName : '';
    const secure = connectTls({
      socket,
      servername,
      rejectUnauthorized: false,
      minVersion: 'TLSv1',
      // OpenSSL's default level 2 offers neither TLS 1.0 nor 1.1.
      ciphers: 'DEFAULT@SECLEVEL=0',
      ...(ca !== undefined && { ca }),
    });
    const unlisten = onAbort(signal, () => {
      secure.destroy();
      reject(signal.reason);
    });
    const end = (error: Error) => {
      unlisten();
      reject(error);
    };
    secure.once('error', end);
    secure.once('close', () => end(new Error('the server closed the connection during the TLS handshake')));
    secure.once('secureConnect', () => {
      unlisten();
      secure.on('error', () => undefined);
      resolve(secure);
    });
  });
}

function inspect(secure: TLSSocket, target: IdentityTarget): TlsInspection {
  const certificate = secure.getPeerCertificate(true);
  const verdict = tlsIdentity(target).checkServerIdentity(target.externalName, certificate);
  const identity = verdict instanceof TlsIdentityError ? verdict : undefined;
  const trust = secure.authorizationError as Error | string | null | undefined;
  const reason = typeof trust === 'string' ? trust : (trust as NodeJS.ErrnoException | undefined)?.code;
  const alternatives = (certificate.subjectaltname ?? '').split(', ').filter((name) => name !== '');
  return {
    protocol: secure.getProtocol() ?? 'unknown',
    cipher: secure.getCipher().name,
    // The name is checked above, whatever the chain is.
    distrust: reason === 'ERR_TLS_CERT_ALTNAME_INVALID' ? undefined : reason,
    identity,
    names: alternatives.length > 0 ? alternatives.map(withoutKind) : textsOf(certificate.subject?.CN),
    commonNameOnly: alternatives.length === 0,
    chain: chainOf(certificate),
  };
}

/** The certificates that the server sent. A trusted authority that Node.js found itself is at the end, if it did. */
function chainOf(certificate: DetailedPeerCertificate): ShownCertificate[] {
  const chain: ShownCertificate[] = [];
  const seen = new Set<string>();
  let current: DetailedPeerCertificate | undefined = certificate;
  while (current?.raw !== undefined && !seen.has(current.fingerprint256) && chain.length < longestChain) {
    seen.add(current.fingerprint256);
    const { subject, issuer, validFrom, validTo } = new X509Certificate(current.raw);
    chain.push({
      subject: oneLine(subject),
      issuer: oneLine(issuer),
      validFrom: new Date(validFrom).toISOString(),
      validTo: new Date(validTo).toISOString(),
    });
    current = current.issuerCertificate;
  }
  return chain;
}

function withoutKind(name: string): string {
  return printable(name.replace(/^(DNS|IP Address):/, ''), 300);
}

function textsOf(value: string | string[] | undefined): string[] {
  return (value === undefined ? [] : [value].flat()).map((text) => printable(text, 300));
}

function oneLine(name: string): string {
  return printable(name.split('\n').join(', '), 300);
}

const longestChain = 10;
