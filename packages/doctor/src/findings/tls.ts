import { type Facts, type Failed, type TlsFacts, targetOf } from '../facts/facts.ts';
import { pasted, type Rule, rule } from './finding.ts';
import { switching } from './tcp.ts';

/** The certificate of the target, and the protocol. */
export const tlsRules: readonly Rule[] = [
  rule('tls-not-offered', 'error', {
    find: (facts) => failedTls(facts, ({ code, message }) => code === 'NO_TLS' || isPlainAnswer(code, message)),
    says: (_, facts) => `${targetOf(facts)} does not speak TLS on port ${facts.asked.port}.`,
    means: 'Passwords and data would travel in the clear, and nothing proves that this is the host.',
    users: '"The server does not support SSL connections". Clients with verified TLS do not connect.',
    mend: (_, { asked }) =>
      asked.protocol === 'postgres'
        ? [
            `psql -c "alter system set ssl = on"  # on the server, with ssl_cert_file and ssl_key_file`,
            'select pg_reload_conf()',
          ]
        : [
            `${asked.program} doctor ${asked.written} --port ${asked.port} --protocol tcp  # if it is meant to be in the clear`,
          ],
  }),
  rule('server-silent', 'error', {
    find: (facts) => failedTls(facts, isSilence),
    says: (_, facts) => `${targetOf(facts)} accepts the connection and then says nothing.`,
    means:
      'The machine or the program hangs: a full disk, frozen storage, a stopped process. TCP goes on, because the kernel answers.',
    users:
      'Connecting, and statements on open connections, hang. Plain pg waits forever; @externalname/pg reports ERR_EXTERNALNAME_PEER_SILENT and moves.',
    mend: (_, facts) => ['Look at the machine: df, dmesg, the state of the process.', ...switching(facts)],
  }),
  rule('tls-broken', 'error', {
    find: (facts) =>
      failedTls(
        facts,
        ({ code, message }) => code !== 'NO_TLS' && !isPlainAnswer(code, message) && !isSilence({ code }),
      ),
    says: ({ message }, facts) => `The TLS handshake with ${targetOf(facts)} fails: ${message}.`,
    means:
      'The server accepts connections and ends or ignores the handshake: it hangs, or has no usable certificate or protocol.',
    users: 'ECONNRESET or a timeout while connecting; "SSL SYSCALL error", "EPROTO".',
    mend: (_, facts) => [
      `openssl s_client -connect ${pasted(targetOf(facts))}:${facts.asked.port}${starttls(facts)} -servername ${pasted(targetOf(facts))}`,
    ],
  }),
  rule('tls-protocol-old', 'error', {
    find: (facts) => shown(facts, ({ protocol }) => /^(SSLv3|TLSv1|TLSv1\.1)$/.test(protocol)),
    says: ({ protocol }, facts) => `${targetOf(facts)} speaks nothing newer than ${protocol}.`,
    means: 'Clients of today refuse it: Node.js, OpenSSL 3, Go and Java all want TLS 1.2.',
    users: 'ERR_SSL_UNSUPPORTED_PROTOCOL, "tlsv1 alert protocol version", "unsupported protocol".',
    mend: (_, { asked }) => [
      asked.protocol === 'postgres'
        ? `psql -c "alter system set ssl_min_protocol_version = 'TLSv1.2'"  # and a current OpenSSL`
        : 'Turn on TLS 1.2 and 1.3 at the server.',
    ],
  }),
  rule('tls-expired', 'error', {
    find: (facts) =>
      shown(
        facts,
        ({ distrust, chain }) => distrust === 'CERT_HAS_EXPIRED' || chain.some(({ validTo }) => validTo < facts.at),
      ),
    says: ({ chain }, facts) => {
      const expired = chain.find(({ validTo }) => validTo < facts.at) ?? chain[0];
      return `The certificate ${expired?.subject ?? ''} has expired: it was valid until ${expired?.validTo ?? ''}.`;
    },
    means: 'It was not renewed, or the server was not told to load the new one.',
    users: 'CERT_HAS_EXPIRED, "certificate has expired", curl: (60) SSL certificate problem.',
    mend: (_, facts) => renewed(facts),
  }),
  rule('tls-not-yet-valid', 'error', {
    find: (facts) =>
      shown(
        facts,
        ({ distrust, chain }) =>
          distrust === 'CERT_NOT_YET_VALID' || chain.some(({ validFrom }) => validFrom > facts.at),
      ),
    says: ({ chain }, { at }) =>
      `The certificate is valid from ${chain[0]?.validFrom ?? ''}, and the clock here says ${at}.`,
    means: 'The certificate is for later, or the clock of this machine is slow.',
    users: 'CERT_NOT_YET_VALID, "certificate is not yet valid".',
    mend: () => ['date -u', 'timedatectl status'],
  }),
  rule('tls-name', 'error', {
    find: (facts) => shown(facts, ({ identity }) => identity !== undefined),
    says: ({ names }, facts) =>
      `The certificate is for ${names.length === 0 ? 'no name at all' : names.slice(0, 5).join(', ')}, not for ${targetOf(facts)}.`,
    means: ({ names }, { asked }) =>
      names.some((name) => name.split('.')[0] === asked.reference.name)
        ? 'It names the Service. TLS verifies the host behind it, because only that host can prove who it is.'
        : 'The server answers for another host: a wrong certificate, a wrong address in DNS, or another machine in its place.',
    users:
      'ERR_TLS_CERT_ALTNAME_INVALID, "Hostname/IP does not match certificate\'s altnames", curl: (60) SSL: no alternative certificate subject name matches.',
    mend: ({ names }, facts) => [
      `Give the server a certificate for ${targetOf(facts)}, or point the Service to a name that its certificate has: ${names.slice(0, 5).join(', ') || 'it has none'}.`,
      `openssl s_client -connect ${pasted(targetOf(facts))}:${facts.asked.port}${starttls(facts)} </dev/null | openssl x509 -noout -ext subjectAltName`,
    ],
  }),
  rule('tls-self-signed', 'error', {
    find: (facts) => shown(facts, ({ distrust }) => distrust === 'DEPTH_ZERO_SELF_SIGNED_CERT'),
    says: (_, facts) => `The certificate of ${targetOf(facts)} was signed by itself.`,
    means: 'No authority vouches for it, so a client can only trust that very certificate.',
    users: 'DEPTH_ZERO_SELF_SIGNED_CERT, "self-signed certificate", curl: (60).',
    mend: (_, facts) => [
      `${facts.asked.program} doctor ${facts.asked.written} --ca <file of that certificate>`,
      'Give the same file to the applications as ssl.ca, or the server a certificate of an authority.',
    ],
  }),
  rule('tls-chain-incomplete', 'error', {
    find: (facts) => shown(facts, ({ distrust, chain }) => isAlone(distrust, chain)),
    says: ({ chain }) =>
      `The server sends its own certificate alone, and its issuer ${chain[0]?.issuer ?? ''} is not trusted here.`,
    means:
      "Either the intermediate certificates are missing in the server's file, or the authority is a private one that was not given.",
    users:
      'UNABLE_TO_VERIFY_LEAF_SIGNATURE, "unable to verify the first certificate", curl: (60) unable to get local issuer certificate.',
    mend: (_, { asked }) => [
      `${asked.program} doctor ${asked.written} --ca <file of the authority>`,
      "Put the intermediate certificates behind the server's own, in the file that it loads.",
    ],
  }),
  rule('tls-untrusted', 'error', {
    find: (facts) => shown(facts, ({ distrust, chain }) => distrust !== undefined && !isNamed(distrust, chain)),
    says: ({ distrust, chain }) =>
      `The certificate is not trusted here (${distrust ?? ''}): its issuer is ${chain.at(-1)?.issuer ?? ''}.`,
    means:
      'The authority is a private one, and its certificate was not given: --ca, PGSSLROOTCERT, NODE_EXTRA_CA_CERTS.',
    users: 'SELF_SIGNED_CERT_IN_CHAIN, UNABLE_TO_GET_ISSUER_CERT_LOCALLY, curl: (60) SSL certificate problem.',
    mend: (_, { asked }) => [
      `${asked.program} doctor ${asked.written} --ca <file of the authority>`,
      'Give the same file to the applications as ssl.ca.',
    ],
  }),
  rule('tls-common-name', 'warning', {
    find: (facts) => shown(facts, ({ commonNameOnly }) => commonNameOnly),
    says: ({ names }) => `The certificate names ${names.join(', ')} in its common name alone.`,
    means:
      'Names belong into subjectAltName since RFC 2818 (2000). Go, Java and browsers do not read the common name any more.',
    users: '"certificate relies on legacy Common Name field, use SANs instead", in programs that are not Node.js.',
    mend: (_, facts) => renewed(facts),
  }),
  rule('tls-expires-soon', 'warning', {
    find: (facts) => shown(facts, ({ chain }) => isSoon(daysLeft(chain, facts.at))),
    says: ({ chain }, { at }) => `The certificate expires in ${days(daysLeft(chain, at))}, at ${earliestEnd(chain)}.`,
    means: 'Nothing renews it, or that is due.',
    users: 'Nothing yet. From that moment on, no new connection is made: CERT_HAS_EXPIRED.',
    mend: (_, facts) => renewed(facts),
  }),
];

/** Reasons with a rule of their own. */
function isNamed(distrust: string, chain: TlsFacts['chain']): boolean {
  return (
    ['CERT_HAS_EXPIRED', 'CERT_NOT_YET_VALID', 'DEPTH_ZERO_SELF_SIGNED_CERT'].includes(distrust) ||
    isAlone(distrust, chain)
  );
}

function isAlone(distrust: string | undefined, chain: TlsFacts['chain']): boolean {
  return distrust === 'UNABLE_TO_VERIFY_LEAF_SIGNATURE' && chain.length === 1;
}

function shown({ endpoints }: Facts, fits: (tls: TlsFacts) => boolean): TlsFacts | undefined {
  for (const { tls } of endpoints) if (tls?.kind === 'shown' && fits(tls)) return tls;
  return undefined;
}

function failedTls({ endpoints }: Facts, fits: (failed: Failed) => boolean): Failed | undefined {
  for (const { tls } of endpoints) if (tls?.kind === 'failed' && fits(tls)) return tls;
  return undefined;
}

function isSilence({ code }: Pick<Failed, 'code'>): boolean {
  return code === 'ERR_EXTERNALNAME_DEADLINE';
}

/** OpenSSL's words for bytes that are not TLS. */
function isPlainAnswer(code: string, message: string): boolean {
  return (
    code === 'EPROTO' ||
    /wrong version number|packet length too long|http request/i.test(message) ||
    code === 'ERR_SSL_WRONG_VERSION_NUMBER'
  );
}

/** The end of the certificate that ends first. */
export function earliestEnd(chain: TlsFacts['chain']): string {
  return chain.map(({ validTo }) => validTo).sort()[0] ?? '';
}

/** `1 day`, `12 days` */
export function days(count: number): string {
  const whole = Math.floor(count);
  return `${whole} day${whole === 1 ? '' : 's'}`;
}

/** Days until the first certificate of the chain ends. */
export function daysLeft(chain: TlsFacts['chain'], at: string): number {
  return (Date.parse(earliestEnd(chain)) - Date.parse(at)) / 86_400_000;
}

function isSoon(days: number): boolean {
  return days >= 0 && days < fewDays;
}

function starttls({ asked }: Facts): string {
  return asked.protocol === 'postgres' ? ' -starttls postgres' : '';
}

function renewed(facts: Facts): readonly string[] {
  return [
    `Renew the certificate of ${targetOf(facts)}, with that name in subjectAltName, and let the server load it${facts.asked.protocol === 'postgres' ? ': select pg_reload_conf()' : ''}.`,
    `openssl s_client -connect ${pasted(targetOf(facts))}:${facts.asked.port}${starttls(facts)} </dev/null | openssl x509 -noout -dates -subject`,
  ];
}

/** As the alert ExternalNameCertificateExpires of @externalname/prometheus. */
const fewDays = 14;
