import { accessRules } from './access.ts';
import { dnsRules } from './dns.ts';
import type { Rule } from './finding.ts';
import { httpRules } from './http.ts';
import { policyRules } from './policy.ts';
import { postgresRules } from './postgres.ts';
import { serviceRules } from './service.ts';
import { tcpRules } from './tcp.ts';
import { tlsRules } from './tls.ts';

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
