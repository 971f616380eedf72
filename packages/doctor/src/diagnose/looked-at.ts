import { printable } from '@externalname/core/internal';
import type { EndpointFacts, Facts, Failed } from '../facts/facts.ts';
import { days, daysLeft, earliestEnd } from '../findings/tls.ts';
import { describeAnswer, shortMillis } from '../names/name-answer.ts';

/** One thing that was looked at. */
export interface LookedAt {
  /** `service`, `cluster`, `policy`, `dns`, `address`, `tcp`, `tls`, `postgres`, `http` or `access` */
  readonly subject: string;
  /** `-`: it was not asked. */
  readonly state: 'ok' | 'bad' | '-';
  /** What was seen, printable. */
  readonly text: string;
}

/** The facts, one line for each thing that was looked at. */
export function summarize(facts: Facts): LookedAt[] {
  const { service, policy, dns, endpoints, access } = facts;
  const lines: LookedAt[] = [];
  const row = (subject: string, state: LookedAt['state'], text: string) =>
    lines.push({ subject, state, text: printable(text) });
  if (service.kind === 'found') {
    const writers = [...new Set(service.writers.map(({ manager }) => manager))];
    const by = writers.length === 0 ? '' : `, written by ${writers.join(', ')}`;
    row(
      'service',
      service.target === undefined ? 'bad' : 'ok',
      `${service.type} -> ${service.externalName ?? 'nothing'}${by}`,
    );
    row('cluster', 'ok', service.cluster);
  } else row('service', 'bad', service.kind === 'missing' ? `not in ${service.cluster}` : service.message);
  const listed = policy.allowedTargets === 'any' ? 'any target is allowed' : policy.allowedTargets?.join(', ');
  if (listed === undefined) row('policy', '-', 'not asked: no allow-list was given');
  else row('policy', policy.refusal === undefined ? 'ok' : 'bad', policy.refusal?.message ?? `allowed: ${listed}`);
  if (dns.from === 'machine')
    row('dns', '-', 'the name of the Service was not asked for: give --nameserver, or run in a pod');
  for (const answer of [...dns.service, ...dns.target])
    row('dns', answer.outcome === 'addresses' ? 'ok' : 'bad', describeAnswer(answer));
  for (const endpoint of endpoints)
    for (const { subject, state, text } of describeEndpoint(endpoint, facts)) row(subject, state, text);
  if (access.kind === 'reviewed') {
    const verbs = (allowed: boolean) =>
      access.permissions
        .filter((each) => each.allowed === allowed)
        .map(({ verb, resource }) => (resource === 'services' ? verb : `${verb} ${resource}`));
    const denied = verbs(false);
    const not = denied.length === 0 ? '' : `, may not ${denied.join(', ')}`;
    row('access', 'ok', `${access.user ?? 'this user'} may ${verbs(true).join(', ') || 'do nothing'}${not}`);
  } else row('access', '-', `not asked: ${access.message}`);
  return lines;
}

function describeEndpoint(
  { address, refusal, tcp, tls, postgres, http }: EndpointFacts,
  { asked, at }: Facts,
): LookedAt[] {
  if (refusal !== undefined) return [{ subject: 'address', state: 'bad', text: `${address}: ${refusal.message}` }];
  const lines: LookedAt[] = [];
  const add = (subject: string, fact: { readonly kind: string } | undefined, text: () => string, isGood = true) => {
    if (fact?.kind === 'failed') lines.push({ subject, state: 'bad', text: `${address}  ${(fact as Failed).message}` });
    else if (fact !== undefined) lines.push({ subject, state: isGood ? 'ok' : 'bad', text: `${address}  ${text()}` });
  };
  add('tcp', tcp, () => `port ${asked.port} open, ${tcp?.kind === 'open' ? shortMillis(tcp.elapsedMillis) : ''}`);
  if (tls?.kind === 'shown') {
    const trust = tls.distrust ?? (tls.identity === undefined ? 'verified' : 'for another name');
    const text = `${tls.protocol}, ${trust}, ${tls.names.slice(0, 4).join(' ')}, until ${earliestEnd(tls.chain).slice(0, 10)} (${days(daysLeft(tls.chain, at))})`;
    add('tls', tls, () => text, tls.distrust === undefined && tls.identity === undefined);
  } else add('tls', tls, () => '');
  if (postgres?.kind === 'answered') {
    const { state, version = '?', connections, connectionLimit, authentication } = postgres;
    const behind =
      state.replayDelaySeconds === undefined ? '' : `, replays what is ${Math.round(state.replayDelaySeconds)} s old`;
    const role = state.inRecovery ? `standby${behind}` : state.readOnly ? 'primary, read-only' : 'primary';
    const taken =
      connections === undefined || connectionLimit === undefined
        ? ''
        : `, ${connections} of ${connectionLimit} connections`;
    add(
      'postgres',
      postgres,
      () => `${version}, ${role}${taken}${authentication === undefined ? '' : `, ${authentication}`}`,
    );
  } else add('postgres', postgres, () => '');
  add('http', http, () =>
    http?.kind === 'answered' ? `status ${http.status}, ${shortMillis(http.elapsedMillis)}` : '',
  );
  return lines;
}
