import { printable } from '@externalname/core/internal';
import type { Output, Tone } from '../output.ts';
import type { EndpointFacts, Facts, Failed, NameAnswer } from './facts.ts';
import type { Finding, Severity } from './finding.ts';
import { days, daysLeft, earliestEnd } from './findings/tls.ts';

/** Shows what is wrong, first things first, and then everything that was looked at. */
export function showPage(output: Output, facts: Facts, findings: readonly Finding[]): void {
  const { asked, target } = facts;
  output.line(output.style('strong', asked.reference.fullName));
  output.line(`-> ${target?.externalName ?? 'no target'}  port ${asked.port}, ${asked.protocol}`);
  output.line();
  if (findings.every(({ severity }) => severity === 'note')) {
    output.line(output.style('good', 'OK     Nothing is wrong.'));
    output.line();
  }
  for (const finding of findings) showFinding(output, finding);
  output.line(output.style('strong', 'Looked at'));
  const rows = checked(facts);
  output.table(
    rows.map(({ cells }) => cells),
    { tones: rows.map(({ tone }) => tone) },
  );
}

/** One finding, with its parts in a margin. */
export function showFinding(output: Output, { severity, says, means, users, mend, rule }: Finding): void {
  const { word, tone } = marks[severity];
  output.paragraph(says, { indent: margin, first: word, tone });
  output.paragraph(means, { indent: margin });
  output.paragraph(`Users see: ${users}`, { indent: margin });
  for (const command of mend) {
    // A command is one line, so that it can be copied.
    if (isCommand(command)) output.line(`${' '.repeat(margin)}$ ${command}`);
    else output.paragraph(`Mend it: ${command}`, { indent: margin });
  }
  output.line(`${' '.repeat(margin)}${output.style('faint', `[${rule}]`)}`);
  output.line();
}

const margin = 7;
const marks: Readonly<Record<Severity, { readonly word: string; readonly tone: Tone }>> = {
  error: { word: 'WRONG', tone: 'bad' },
  warning: { word: 'WARN', tone: 'warning' },
  note: { word: 'NOTE', tone: 'plain' },
};

/** Whether it is to be run, and not a sentence. */
function isCommand(text: string): boolean {
  return /^(kubectl|externalname|dig|nc|curl|openssl|psql|ip|date|timedatectl|PGPASSWORD=|select |alter |\\)/.test(
    text,
  );
}

interface Row {
  readonly cells: readonly [string, string, string];
  readonly tone: Tone;
}

function checked(facts: Facts): Row[] {
  const { service, policy, dns, endpoints, access } = facts;
  const rows: Row[] = [];
  const row = (subject: string, state: 'ok' | 'bad' | '-', text: string) =>
    rows.push({
      cells: [subject, state, printable(text)],
      tone: state === 'bad' ? 'bad' : state === '-' ? 'faint' : 'plain',
    });
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
  return rows;
}

/** `10.96.0.10:53  2 ms  name -> target (5 s) -> 192.0.2.10 (300 s)` */
export function describeAnswer({ server, name, outcome, detail, chain, addresses, elapsedMillis }: NameAnswer): string {
  const hops = chain.map(({ target, ttlSeconds }) => ` -> ${target} (${ttlSeconds} s)`).join('');
  const shown = addresses.map(({ address, ttlSeconds }) => `${address} (${ttlSeconds} s)`).join(', ');
  return printable(
    `${server}  ${millis(elapsedMillis)}  ${name}${hops}${outcome === 'addresses' ? ` -> ${shown}` : `: ${detail}`}`,
  );
}

type Line = { readonly subject: string; readonly state: 'ok' | 'bad' | '-'; readonly text: string };

function describeEndpoint({ address, refusal, tcp, tls, postgres, http }: EndpointFacts, { asked, at }: Facts): Line[] {
  if (refusal !== undefined) return [{ subject: 'address', state: 'bad', text: `${address}: ${refusal.message}` }];
  const lines: Line[] = [];
  const add = (subject: string, fact: { readonly kind: string } | undefined, text: () => string, isGood = true) => {
    if (fact?.kind === 'failed') lines.push({ subject, state: 'bad', text: `${address}  ${(fact as Failed).message}` });
    else if (fact !== undefined) lines.push({ subject, state: isGood ? 'ok' : 'bad', text: `${address}  ${text()}` });
  };
  add('tcp', tcp, () => `port ${asked.port} open, ${tcp?.kind === 'open' ? millis(tcp.elapsedMillis) : ''}`);
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
  add('http', http, () => (http?.kind === 'answered' ? `status ${http.status}, ${millis(http.elapsedMillis)}` : ''));
  return lines;
}

/** Whole milliseconds, but for what takes less than ten. */
export function millis(value: number): string {
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;
}
