import { aText, checkOptions, checkText, optional, ownOptions } from '@externalname/core/internal';
import type { Finding } from '../findings/finding.ts';

/** An error that people paste, and what it says about an ExternalName Service. */
interface Symptom {
  readonly code: string;
  /** In the text, lower case. */
  readonly pattern: RegExp;
  readonly says: string;
  readonly means: string;
  readonly users: string;
  readonly mend: readonly string[];
}

/** See {@link explainError}. */
export interface ExplainErrorOptions {
  /** The program that the commands of findings call. @defaultValue `externalname` */
  program?: string | undefined;
}

/**
 * Recognises errors of ExternalName Services in what people paste: curl 60, NXDOMAIN after a CNAME, an address in externalName, ...
 *
 * @returns the most telling one first; none if nothing is known
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT`
 *
 * @example
 * ```ts
 * const [finding] = explainError('getaddrinfo ENOTFOUND webscaler-db');
 * console.log(finding?.rule, finding?.means); // error-not-found The Service does not exist in that namespace, ...
 * ```
 */
export function explainError(text: string, given: ExplainErrorOptions = {}): Finding[] {
  checkText('text', text);
  const options = ownOptions(given);
  checkOptions(options, { program: optional(aText) });
  const { program = 'externalname' } = options;
  const called = (command: string) => command.replace(/^externalname(?= )/, program);
  const searched = text.slice(0, longestText).toLowerCase();
  return symptoms
    .filter(({ pattern }) => pattern.test(searched))
    .map(({ code, says, means, users, mend }) => ({
      rule: code,
      severity: 'error',
      says,
      means,
      users,
      mend: mend.map(called),
    }));
}

const symptoms: readonly Symptom[] = [
  {
    code: 'error-address',
    pattern: /externalname:?\s*["']?(\d{1,3}(\.\d{1,3}){3}|[0-9a-f]*:[0-9a-f]*:[0-9a-f:.]*)["']?(\s|$)/,
    says: 'An IP address is in spec.externalName.',
    means: 'An ExternalName is a CNAME, and a CNAME leads to a name. Cluster DNS answers NXDOMAIN.',
    users: 'getaddrinfo ENOTFOUND for the Service.',
    mend: ['externalname create address-service <name> --port <port> --address <address> | kubectl apply -f -'],
  },
  {
    code: 'error-recursion',
    pattern: /got recursion not available/,
    says: 'nslookup says "Got recursion not available": by itself that is harmless.',
    means:
      'CoreDNS answers for the zone of the cluster with authority and offers no recursion in that answer. nslookup of BIND then tries the next server, and programs do not care.',
    users: 'Nothing. If a lookup fails as well, the line after this one says why.',
    mend: ['externalname resolve <service>', 'dig <service>.<namespace>.svc.cluster.local'],
  },
  {
    code: 'error-dangling',
    pattern:
      /canonical name[\s\S]*(nxdomain|can't find)|is an alias for[\s\S]*(nxdomain|not found)|\bcname\b[\s\S]*nxdomain/,
    says: 'The Service has an alias, and the alias leads to a name that does not exist: NXDOMAIN after a CNAME.',
    means: 'spec.externalName is misspelt, or the DNS record of the target is gone. The Service itself is fine.',
    users: 'getaddrinfo ENOTFOUND with the name of the Service, although the Service exists.',
    mend: [
      'externalname doctor <service>',
      `kubectl patch service <service> --type merge -p '{"spec":{"externalName":"<host>"}}'`,
    ],
  },
  {
    code: 'error-certificate-name',
    pattern:
      /no alternative certificate subject name matches|err_tls_cert_altname_invalid|does not match certificate's altnames|hostname mismatch|certificate is valid for .*, not|err_externalname_tls_identity|server certificate for .* does not match host name/,
    says: 'The certificate is for another name than the one that the client asked for.',
    means:
      'The client was told the name of the Service, and the certificate names the host behind it. A CNAME does not change the name that TLS verifies.',
    users: 'curl: (60), ERR_TLS_CERT_ALTNAME_INVALID.',
    mend: [
      'curl --connect-to <target>:443:<service>:443 https://<target>/',
      'In applications: the Pool of @externalname/pg, connectTls() of core, or the dispatcher of @externalname/http verify the target.',
    ],
  },
  {
    code: 'error-certificate-trust',
    pattern:
      /curl: \(60\)|unable to get local issuer certificate|self[- ]signed certificate|unable_to_verify_leaf_signature|certificate verify failed/,
    says: 'The certificate is not trusted by the client.',
    means:
      'Its authority is a private one that the client was not given, or the server does not send its intermediate certificates.',
    users: 'curl: (60) SSL certificate problem.',
    mend: [
      'externalname doctor <service> --ca <file of the authority>',
      'Never -k or rejectUnauthorized: false: then everyone can pose as the server.',
    ],
  },
  {
    code: 'error-ports',
    pattern: /externalname[\s\S]*\bports?:|\bports?:[\s\S]*externalname|targetport[\s\S]*externalname/,
    says: 'An ExternalName Service has ports, and they have no effect.',
    means: 'A CNAME carries no port: clients must name the port of the target themselves.',
    users: 'Connection refused on the port of the Service, if the target listens on another one.',
    mend: [
      'externalname lint <file>',
      `kubectl patch service <service> --type json -p '[{"op":"remove","path":"/spec/ports"}]'`,
    ],
  },
  {
    code: 'error-balancing',
    pattern: /no load[- ]balanc|not load[- ]balanc|(only|always) (one|the same) (backend|server|address|ip)|uneven/,
    says: 'An ExternalName Service does not balance load.',
    means:
      'It is a name. kube-proxy has no part in it: a client takes an address of the answer, often the first, and keeps the connection.',
    users: 'One of several addresses gets most connections.',
    mend: [
      'In applications: the balancer of @externalname/core spreads connections over addresses and targets.',
      'Or a Service without selector and an EndpointSlice: externalname create address-service <name> --port <port> --address <address,...>',
    ],
  },
  {
    code: 'error-standby',
    pattern: /cannot execute .* in a read-only transaction|\b25006\b/,
    says: 'The server behind the Service is a standby, or read-only.',
    means: 'The Service was switched before the standby was promoted, or connections stayed on the old primary.',
    users: '25006 for writes; reads work.',
    mend: ['externalname doctor <service> --user <role>', 'select pg_promote()'],
  },
  {
    code: 'error-temporary',
    pattern:
      /eai_again|temporary failure in name resolution|servfail|connection timed out; no servers could be reached/,
    says: 'No DNS server gave an answer.',
    means:
      'This says nothing about the name: cluster DNS, or the servers that it forwards to, are down or out of reach.',
    users: 'Lookups take seconds and then fail.',
    mend: ['externalname resolve <service> --count 20', 'kubectl -n kube-system get pods -l k8s-app=kube-dns'],
  },
  {
    code: 'error-not-found',
    pattern:
      /enotfound|could not translate host name|name or service not known|nxdomain|no such host|could not resolve host/,
    says: 'The name does not exist in DNS.',
    means: 'The Service does not exist in that namespace, or what it points to does not exist.',
    users: 'The same error on every new connection.',
    mend: ['externalname doctor <service> -n <namespace>'],
  },
  {
    code: 'error-refused',
    pattern: /econnrefused|connection refused/,
    says: 'Nothing listens on that port of the target.',
    means:
      'The name works and the host is up. The server is stopped, or the port is the one of the Service, which an ExternalName does not map.',
    users: 'Connection refused.',
    mend: ['externalname doctor <service> --port <port of the target>'],
  },
];

const longestText = 100_000;
