import type { Rule } from './finding.ts';
import { accessRules } from './findings/access.ts';
import { dnsRules } from './findings/dns.ts';
import { httpRules } from './findings/http.ts';
import { policyRules } from './findings/policy.ts';
import { postgresRules } from './findings/postgres.ts';
import { serviceRules } from './findings/service.ts';
import { tcpRules } from './findings/tcp.ts';
import { tlsRules } from './findings/tls.ts';

/** Every rule, in the order in which one fault brings about the next: whose finding stands first. */
export const rules: readonly Rule[] = [
  ...serviceRules,
  ...policyRules,
  ...dnsRules,
  ...tcpRules,
  ...tlsRules,
  ...postgresRules,
  ...httpRules,
  ...accessRules,
];
