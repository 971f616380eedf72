import { canonicalName } from '@externalname/core/names';
import { looksLikeAddress } from '@externalname/core/targets';
import { type Facts, targetOf } from '../facts/facts.ts';
import type { NameAnswer } from '../names/name-answer.ts';
import { pasted, type Rule, rule } from './finding.ts';
import { patched } from './service.ts';

/** Names: what each nameserver says about the Service and about its target. */
export const dnsRules: readonly Rule[] = [
  rule('dns-all-silent', 'error', {
    find: ({ dns }) => {
      const answers = dns.service.length > 0 ? dns.service : dns.target;
      return (
        answers.length > 0 && answers.every(({ failure }) => failure === 'timeout' || failure === 'network') && answers
      );
    },
    says: (answers) =>
      `No DNS server answers: ${answers.map(({ server, detail }) => `${server} (${detail})`).join(', ')}.`,
    means: (_, { dns }) =>
      dns.from === 'cluster'
        ? 'The pods of the cluster DNS are down, or a network policy keeps DNS (port 53, UDP and TCP) away from this pod.'
        : 'This machine reaches none of its resolvers.',
    users: 'Every lookup hangs and then fails: EAI_AGAIN, "Temporary failure in name resolution".',
    mend: (_, { asked }) => [
      `${kubectlOfDns(asked.kubectl)} get pods -l k8s-app=kube-dns -o wide`,
      `${asked.program} create network-policy <name> --network <cidr> --port <port> | ${asked.kubectl} apply -f -`,
    ],
  }),
  rule('dns-loop', 'error', {
    find: (facts) => failing(facts, 'loop') ?? failing(facts, 'too-long'),
    says: ({ chain, name, outcome }) =>
      `${[name, ...chain.map(({ target }) => target)].slice(0, 6).join(' -> ')}: the chain ${outcome === 'loop' ? 'returns to a name that it has passed' : 'has more aliases than are followed'}.`,
    means: 'CNAMEs point to each other, so that no address is ever reached.',
    users: 'Lookups fail: SERVFAIL, ENOTFOUND, "CNAME loop detected".',
    mend: (_, facts) => [patched(facts, '<host>'), 'Or correct the CNAME of the target that points back.'],
  }),
  rule('dns-target-missing', 'error', {
    find: ({ dns }) => all(dns.target, 'not-found'),
    says: ({ name, chain }) =>
      `The target ${[name, ...chain.map(({ target }) => target)].join(' -> ')} does not exist: NXDOMAIN.`,
    means: (_, facts) =>
      `The Service is a dangling alias: ${previousOf(facts) ?? 'its target is misspelt, or its DNS record is gone'}.`,
    users:
      'NXDOMAIN after a CNAME: getaddrinfo ENOTFOUND for the name of the Service, "could not translate host name", "Name or service not known".',
    mend: ({ name }, facts) => [
      `dig +short ${pasted(name)}`,
      patched(facts, facts.service.kind === 'found' ? (facts.service.lastSwitch?.previous ?? '<host>') : '<host>'),
    ],
  }),
  rule('dns-target-empty', 'error', {
    find: ({ dns }) => all(dns.target, 'no-address'),
    says: ({ name }) => `The target ${name} exists, and has no address.`,
    means: 'It has neither an A nor an AAAA record: the record was removed, or only other types are left.',
    users: 'getaddrinfo ENODATA or ENOTFOUND, "No address associated with hostname".',
    mend: ({ name }) => [`dig ${pasted(name)} A`, `dig ${pasted(name)} AAAA`, 'Give the target an address record.'],
  }),
  rule('dns-target-failing', 'error', {
    find: ({ dns }) => all(dns.target, 'unavailable'),
    says: ({ name, detail }) => `No DNS server can resolve the target ${name}: ${detail}.`,
    means: 'Cluster DNS answers, and the servers that it forwards to, or those of the domain, do not.',
    users: 'EAI_AGAIN, "Temporary failure in name resolution", SERVFAIL. Connections that are open go on.',
    mend: ({ name }, { asked }) => [
      `dig ${pasted(name)} @1.1.1.1`,
      `${kubectlOfDns(asked.kubectl)} get configmap coredns -o yaml`,
      `${kubectlOfDns(asked.kubectl)} logs -l k8s-app=kube-dns`,
    ],
  }),
  rule('dns-service-missing', 'error', {
    find: ({ dns, service }) =>
      service.kind === 'found' &&
      service.target !== undefined &&
      !looksLikeAddress(service.target) &&
      dns.service.find(({ outcome, chain }) => outcome === 'not-found' && chain.length === 0),
    says: ({ server, name }) => `${server} does not know the Service: NXDOMAIN for ${name}.`,
    means:
      'The Kubernetes API has the Service. This server belongs to another cluster, has another cluster domain, or lost its watch.',
    users: 'getaddrinfo ENOTFOUND, on all pods that ask this server, or now and then where there are several.',
    mend: (_, { asked }) => [
      `${asked.kubectl} run dns-check --rm -it --image busybox --restart Never -- cat /etc/resolv.conf`,
      `${kubectlOfDns(asked.kubectl)} rollout restart deployment coredns`,
    ],
  }),
  rule('dns-stale', 'error', {
    find: ({ dns, service }) =>
      service.kind === 'found' && service.target !== undefined
        ? dns.service.find(({ chain }) => chain[0] !== undefined && canonicalName(chain[0].target) !== service.target)
        : undefined,
    says: ({ server, chain }, facts) =>
      `${server} still says ${chain[0]?.target ?? ''}, and the Service points to ${facts.service.kind === 'found' ? facts.service.target : targetOf(facts)}.`,
    means: ({ chain }) =>
      `DNS shows a change when the TTL is over (${chain[0]?.ttlSeconds ?? 0} s here) and CoreDNS has seen it. If it stays, that server lost its watch.`,
    users: 'Clients that ask DNS go to the old target. A pool with kubernetesSource() is at the new one.',
    mend: (_, { asked }) => [
      `${asked.program} resolve ${asked.written} --watch`,
      `${kubectlOfDns(asked.kubectl)} rollout restart deployment coredns`,
    ],
  }),
  rule('dns-disagree', 'error', {
    find: ({ dns }) => disagreement(dns.target) ?? disagreement(dns.service),
    says: ([one, other]) => `The DNS servers disagree about ${one.name}: ${answerOf(one)}, ${answerOf(other)}.`,
    means:
      'Which answer a client gets depends on the server that it asks: records are being changed, or one server is out of date.',
    users: 'Some connections fail or go to another machine than the others: "it works every second time".',
    mend: ([one, other]) => [
      `dig ${pasted(one.name)} @${one.server.replace(/:\d+$/, '')}`,
      `dig ${pasted(one.name)} @${other.server.replace(/:\d+$/, '')}`,
    ],
  }),
  rule('dns-one-silent', 'warning', {
    find: ({ dns }) => oneSilent(dns.service) ?? oneSilent(dns.target),
    says: ({ server, name, detail }) => `${server} does not answer for ${name}: ${detail}.`,
    means: 'One of several servers is broken. Resolvers try the next one after a timeout, 5 s by default.',
    users: 'Now and then a connection takes seconds longer.',
    mend: (_, { asked }) => [`${kubectlOfDns(asked.kubectl)} get pods -l k8s-app=kube-dns -o wide`],
  }),
  rule('dns-slow', 'warning', {
    find: ({ dns }) =>
      [...dns.service, ...dns.target].find(
        ({ elapsedMillis, outcome }) => outcome === 'addresses' && elapsedMillis > slowMillis,
      ),
    says: ({ server, name, elapsedMillis }) => `${server} took ${elapsedMillis} ms to answer for ${name}.`,
    means: 'Every new connection begins with this lookup, as often as the TTL says.',
    users: 'New connections are slow, requests on open ones are not.',
    mend: (_, { asked }) => [`${asked.program} resolve ${asked.written} --count 100`],
  }),
  rule('dns-ttl-long', 'warning', {
    find: ({ dns }) => dns.service.flatMap(({ chain }) => chain).find(({ ttlSeconds }) => ttlSeconds > longTtlSeconds),
    says: ({ name, target, ttlSeconds }) => `The alias ${name} -> ${target} has a TTL of ${ttlSeconds} s.`,
    means: 'Resolvers keep it for that long: a switch is not seen by DNS before.',
    users: `After a switch, clients that ask DNS stay on the old target for up to that long.`,
    mend: (_, { asked }) => [
      `${kubectlOfDns(asked.kubectl)} edit configmap coredns  # kubernetes plugin: ttl 5`,
      'Or follow the Service by a watch: kubernetesSource() of @externalname/kubernetes.',
    ],
  }),
  rule('dns-search-waste', 'note', {
    find: ({ dns }) => dns.wasted !== undefined && dns.wasted.length > 0 && dns.wasted,
    says: (wasted, { asked }) =>
      `A lookup of ${asked.written} first asks for ${wasted.length} names that do not exist: ${wasted.join(', ')}.`,
    means:
      'ndots of resolv.conf makes a resolver try the search list first. Each name costs a query for A and one for AAAA.',
    users: 'Lookups take longer, and cluster DNS has more to do.',
    mend: (_, { asked }) => [`Write the name with a dot at its end: ${asked.reference.fullName}.`],
  }),
];

/** `kubectl` for the namespace of the cluster DNS. */
function kubectlOfDns(kubectl: string): string {
  return `${kubectl.replace(/ -n \S+/, '')} -n kube-system`;
}

function all(answers: readonly NameAnswer[], outcome: NameAnswer['outcome']): NameAnswer | undefined {
  return answers.every((answer) => answer.outcome === outcome) ? answers[0] : undefined;
}

function failing({ dns }: Facts, outcome: NameAnswer['outcome']): NameAnswer | undefined {
  return [...dns.service, ...dns.target].find((answer) => answer.outcome === outcome);
}

/** A server without an answer, where another one has an answer. */
function oneSilent(answers: readonly NameAnswer[]): NameAnswer | undefined {
  const silent = answers.filter(({ outcome }) => outcome === 'unavailable');
  return silent.length < answers.length ? silent[0] : undefined;
}

/** Two servers with different answers. Addresses may be handed out in turn, so only answers with none in common differ. */
function disagreement(answers: readonly NameAnswer[]): readonly [NameAnswer, NameAnswer] | undefined {
  const known = answers.filter(({ outcome }) => outcome !== 'unavailable');
  const [first, ...others] = known;
  if (first === undefined) return undefined;
  const other = others.find((answer) => {
    if (answer.outcome !== first.outcome || answer.chain[0]?.target !== first.chain[0]?.target) return true;
    if (first.addresses.length === 0) return false;
    return !answer.addresses.some(({ address }) => first.addresses.some((each) => each.address === address));
  });
  return other && [first, other];
}

function answerOf({ server, outcome, chain, addresses }: NameAnswer): string {
  const says =
    outcome === 'addresses'
      ? [...chain.slice(0, 1).map(({ target }) => target), addresses.map(({ address }) => address).join(' ')].join(' ')
      : outcome;
  return `${server} says ${says}`;
}

function previousOf({ service }: Facts): string | undefined {
  if (service.kind !== 'found' || service.lastSwitch === undefined) return undefined;
  const { previous, by, at } = service.lastSwitch;
  return `it was switched from ${previous} by ${by} at ${at}`;
}

const slowMillis = 500;
const longTtlSeconds = 60;
