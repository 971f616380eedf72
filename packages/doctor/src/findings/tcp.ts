import type { EndpointFacts, Facts, Failed } from '../facts/facts.ts';
import { targetOf } from '../facts/facts.ts';
import { pasted, type Rule, rule } from './finding.ts';

/** The port of the target, at every address. */
export const tcpRules: readonly Rule[] = [
  rule('tcp-refused', 'error', {
    find: (facts) => closed(facts, 'all', ({ code }) => code === 'ECONNREFUSED'),
    says: (failed, facts) =>
      `Nothing listens on port ${facts.asked.port} of ${targetOf(facts)}: ${listed(failed)} refused the connection.`,
    means: 'The host is up and the program is not: it is stopped, restarting, or listens on another port or address.',
    users: 'ECONNREFUSED, "Connection refused. Is the server running on that host and accepting TCP/IP connections?"',
    mend: (_, facts) => [
      `Start the server on ${targetOf(facts)}, or look at listen_addresses and port of its configuration.`,
      `${facts.asked.program} doctor ${facts.asked.written} --port <port>`,
      ...switching(facts),
    ],
  }),
  rule('tcp-silent', 'error', {
    find: (facts) => closed(facts, 'all', ({ code }) => isSilence(code)),
    says: (failed, { asked }) => `Port ${asked.port} gives no answer at ${listed(failed)}.`,
    means: 'Packets are dropped on the way: a firewall, a security group, a network policy, or the machine is gone.',
    users: 'Connections hang until their timeout: ETIMEDOUT, "timeout expired".',
    mend: (failed, facts) => [
      `nc -vz -w 3 ${failed[0]?.address ?? '<address>'} ${facts.asked.port}`,
      `${facts.asked.kubectl} get networkpolicies`,
      ...switching(facts),
    ],
  }),
  rule('tcp-unreachable', 'error', {
    find: (facts) => closed(facts, 'all', ({ code }) => code !== 'ECONNREFUSED' && !isSilence(code)) ?? mixed(facts),
    says: (failed, { asked }) =>
      `Port ${asked.port} cannot be reached: ${failed.map(({ address, tcp }) => `${address} (${(tcp as Failed).message})`).join(', ')}.`,
    means: 'There is no route to the addresses of the target from here, or connections are closed at once.',
    users: 'EHOSTUNREACH, ENETUNREACH, ECONNRESET.',
    mend: (failed, facts) => [`ip route get ${failed[0]?.address ?? '<address>'}`, ...switching(facts)],
  }),
  rule('tcp-some-dead', 'warning', {
    find: (facts) => closed(facts, 'some', () => true),
    says: (failed, { endpoints }) =>
      `${failed.length} of ${endpoints.length} addresses of the target cannot be reached: ${failed.map(({ address, tcp }) => `${address} (${(tcp as Failed).message})`).join(', ')}.`,
    means: 'DNS still hands them out. A client that tries one address alone fails when it gets one of these.',
    users:
      'Some connections fail or take seconds, others work. Clients of @externalname race the addresses and are not affected.',
    mend: () => ['Remove the addresses from the records of the target, or start what should listen there.'],
  }),
];

type Closed = EndpointFacts & { readonly tcp: Failed };

function isSilence(code: string): boolean {
  return code === 'ERR_EXTERNALNAME_DEADLINE' || code === 'ETIMEDOUT';
}

/** All addresses failed, each in its own way. */
function mixed(facts: Facts): readonly Closed[] | undefined {
  const failed = closed(facts, 'all', () => true);
  return failed !== undefined && new Set(failed.map(({ tcp }) => tcp.code)).size > 1 ? failed : undefined;
}

function closed(
  { endpoints }: Facts,
  how: 'all' | 'some',
  fits: (failed: Failed) => boolean,
): readonly Closed[] | undefined {
  const tried = endpoints.filter(({ tcp }) => tcp !== undefined);
  const failed = tried.filter((endpoint): endpoint is Closed => endpoint.tcp?.kind === 'failed' && fits(endpoint.tcp));
  const isAll = failed.length === tried.length;
  return failed.length > 0 && isAll === (how === 'all') ? failed : undefined;
}

function listed(failed: readonly Closed[]): string {
  return failed.map(({ address }) => address).join(', ');
}

/** Where the allow-list has another host, that is where to switch to. */
export function switching(facts: Facts): readonly string[] {
  const { policy, asked } = facts;
  const others =
    policy.allowedTargets === 'any' ? [] : (policy.allowedTargets ?? []).filter((host) => host !== targetOf(facts));
  const host = others.find((each) => !each.startsWith('*'));
  return host === undefined ? [] : [`${asked.program} switch ${asked.written} --to ${pasted(host)}`];
}
