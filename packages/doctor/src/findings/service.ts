import type { Issue, RuleCode } from '@externalname/core/validation';
import type { Facts } from '../facts/facts.ts';
import { pasted, type Rule, rule, type Severity } from './finding.ts';

/** The Service itself: whether it exists, its type, its field, and who owns that. */
export const serviceRules: readonly Rule[] = [
  rule('service-missing', 'error', {
    find: ({ service }) => service.kind === 'missing' && service,
    says: (_, { asked: { reference } }) => `There is no Service ${reference.name} in namespace ${reference.namespace}.`,
    means: ({ others }) =>
      others.length === 0
        ? 'The namespace has no Service of type ExternalName: the name, the namespace or the context may be another one.'
        : `The namespace has these Services of type ExternalName: ${others.join(', ')}.`,
    users: 'Name resolution fails: getaddrinfo ENOTFOUND, "could not translate host name", NXDOMAIN.',
    mend: (_, { asked }) => [
      `${asked.kubectl.replace(/ -n \S+/, '')} get services --all-namespaces --field-selector metadata.name=${asked.reference.name}`,
      `${asked.program} create service ${asked.reference.name} --to <host> | ${asked.kubectl} apply -f -`,
    ],
  }),
  rule('service-type', 'error', {
    find: ({ service }) => service.kind === 'found' && service.type !== 'ExternalName' && service,
    says: ({ type }, { asked }) => `The Service ${asked.reference.name} is of type ${type}, not ExternalName.`,
    means:
      'Its name stands for addresses inside the cluster. spec.externalName has no effect, and a switch cannot move it.',
    users: 'Connections go to pods behind the Service, or nowhere if it has none.',
    mend: (_, { asked }) => [
      `${asked.kubectl} patch service ${asked.reference.name} --type merge -p '{"spec":{"type":"ExternalName","externalName":"<host>"}}'`,
    ],
  }),
  ofIssue('ip-like', 'service-address', 'error', {
    means:
      'An ExternalName is a CNAME, and a CNAME leads to a name. Cluster DNS treats the address as a name made of digits.',
    users: 'NXDOMAIN for the Service from cluster DNS: getaddrinfo ENOTFOUND, "Name or service not known".',
    mend: (issue, { asked }) => [
      `${asked.program} create address-service ${asked.reference.name} --port ${asked.port} --address ${addressIn(issue)} | ${asked.kubectl} apply -f -`,
    ],
  }),
  ofIssue('self-loop', 'service-self-loop', 'error', {
    means: 'The Service is an alias of itself, which leads to no address.',
    users: 'Lookups answer without an address: ENOTFOUND, "No address associated with hostname".',
    mend: pointElsewhere,
  }),
  ofIssue('loopback', 'service-loopback', 'error', {
    means: 'Each pod would connect to itself.',
    users: 'Connection refused, or an answer from the wrong program in the same pod.',
    mend: pointElsewhere,
  }),
  ofIssue('sensitive', 'service-sensitive', 'error', {
    means:
      'An application that trusts the Service would send its requests, and may leak what it gets, to a service that hands out credentials.',
    users: 'Clients of @externalname refuse it. Others talk to the wrong service.',
    mend: pointElsewhere,
  }),
  ofIssue('single-label', 'service-single-label', 'error', {
    means: 'The target of a CNAME is looked up as it stands. The search list does not complete it.',
    users: 'NXDOMAIN after a CNAME: getaddrinfo ENOTFOUND, although the same short name works elsewhere.',
    mend: pointElsewhere,
  }),
  ofIssue('in-cluster-partial', 'service-partial-name', 'error', {
    means: 'The target of a CNAME is looked up as it stands. The cluster domain is not added.',
    users: 'NXDOMAIN after a CNAME: getaddrinfo ENOTFOUND.',
    mend: (_, facts) => [
      patched(
        facts,
        `${externalNameOf(facts).replace(/\.svc$/, '')}.svc.${facts.asked.reference.clusterDomain}`.replace(
          /(\.svc)+\./,
          '.svc.',
        ),
      ),
    ],
  }),
  rule('service-invalid', 'error', {
    find: ({ service }) => service.kind === 'found' && service.issues.find(({ severity }) => severity === 'error'),
    says: ({ path, message }) => `The API server would refuse this Service today: ${path}: ${message}.`,
    means:
      'It was stored by an older version. The next change to it, a switch included, is refused until this is mended.',
    users: 'Nothing yet. A switch fails with 422 Invalid.',
    mend: ({ hint }, { asked }) =>
      [hint ?? '', `${asked.kubectl} edit service ${asked.reference.name}`].filter(Boolean),
  }),
  ofIssue('ports-ignored', 'service-ports', 'warning', {
    means: 'A CNAME carries no port: the ports of an ExternalName Service are kept, and never used.',
    users:
      'Clients that count on a port mapping get "connection refused". They must name the port of the target themselves.',
    mend: (_, { asked }) => [
      `${asked.kubectl} patch service ${asked.reference.name} --type json -p '[{"op":"remove","path":"/spec/ports"}]'`,
    ],
  }),
  ofIssue('selector-ignored', 'service-selector', 'warning', {
    means: 'An ExternalName Service has no endpoints: the selector is kept, and never used.',
    users: 'Traffic does not reach the selected pods, and is not balanced between them.',
    mend: (_, { asked }) => [
      `${asked.kubectl} patch service ${asked.reference.name} --type json -p '[{"op":"remove","path":"/spec/selector"}]'`,
    ],
  }),
  ofIssue('reserved-suffix', 'service-reserved-name', 'warning', {
    means: 'Names under it are for documentation and tests.',
    users: 'NXDOMAIN after a CNAME, unless a DNS server of your own has the name.',
    mend: pointElsewhere,
  }),
  rule('service-owned', 'note', {
    find: ({ service }) => service.kind === 'found' && service.owners.length > 0 && service.owners,
    says: (owners) => `${owners.join(', ')} keeps this Service as its repository says.`,
    means: 'A switch by hand is put back at the next sync.',
    users: 'After a switch, applications move to the new target and some minutes later back.',
    mend: () => ['Change the target in the repository as well, or pause the sync for the time of the switch.'],
  }),
];

function ofIssue(
  code: RuleCode,
  name: string,
  severity: Severity,
  texts: {
    readonly means: string;
    readonly users: string;
    readonly mend: (issue: Issue, facts: Facts) => readonly string[];
  },
): Rule {
  return rule<Issue>(name, severity, {
    find: ({ service }) => (service.kind === 'found' ? service.issues.find((issue) => issue.code === code) : undefined),
    says: ({ path, message }) => `${path}: ${message}.`,
    ...texts,
  });
}

function pointElsewhere(_: unknown, facts: Facts): readonly string[] {
  return [patched(facts, '<host>')];
}

/** The command that points the Service to a host. */
export function patched({ asked }: Facts, host: string): string {
  return `${asked.kubectl} patch service ${asked.reference.name} --type merge -p '{"spec":{"externalName":"${pasted(host)}"}}'`;
}

function externalNameOf({ service }: Facts): string {
  return service.kind === 'found' ? (service.externalName ?? '') : '';
}

function addressIn({ message }: Issue): string {
  return pasted(/"([^"]+)"/.exec(message)?.[1] ?? '', '<address>');
}
