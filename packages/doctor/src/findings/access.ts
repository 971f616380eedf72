import type { Facts } from '../facts/facts.ts';
import { type Rule, rule } from './finding.ts';

/** The Kubernetes API, and what the user of the kubeconfig may do. */
export const accessRules: readonly Rule[] = [
  rule('cluster-unreachable', 'error', {
    find: (facts) => unread(facts, ['ERR_EXTERNALNAME_KUBERNETES_UNAVAILABLE']),
    says: ({ message }) => `The Kubernetes API cannot be asked: ${message}.`,
    means:
      'The API server is down, or this machine does not reach it. Services keep working as they are; no switch can be made.',
    users:
      'Nothing, as long as the target is fine. Watches of @externalname/kubernetes keep the last target, and mark it stale.',
    mend: (_, { asked }) => [`${asked.kubectl} cluster-info`],
  }),
  rule('cluster-unauthorized', 'error', {
    find: (facts) => unread(facts, ['ERR_EXTERNALNAME_KUBERNETES_UNAUTHORIZED']),
    says: ({ message }) => `The Kubernetes API does not accept this login: ${message}.`,
    means: 'The token or certificate has expired, or is for another cluster.',
    users: 'Nothing: this concerns who runs this command.',
    mend: (_, { asked }) => [`${asked.kubectl} auth whoami`, 'Log in again.'],
  }),
  rule('cluster-not-configured', 'error', {
    find: (facts) => unread(facts, ['ERR_EXTERNALNAME_KUBERNETES_CONFIG']),
    says: ({ message }) => `No cluster can be asked: ${message}.`,
    means: 'The kubeconfig is missing or incomplete, so the Service itself could not be read.',
    users: 'Nothing: this concerns who runs this command.',
    mend: (_, { asked }) => [
      'kubectl config get-contexts',
      `${asked.program} doctor ${asked.written} --kubeconfig <file> --context <name>`,
    ],
  }),
  rule('access-read', 'error', {
    find: (facts) => unread(facts, ['ERR_EXTERNALNAME_KUBERNETES_FORBIDDEN']),
    says: (_, { asked: { reference } }) =>
      `This user may not read the Service ${reference.name} in namespace ${reference.namespace}.`,
    means: 'RBAC has no rule for it. What the Service says is not known here; DNS may still tell.',
    users:
      'Nothing: this concerns who runs this command. A pool with kubernetesSource() under the same account falls back to DNS.',
    mend: (_, { asked }) => [
      `${asked.program} create reader-role ${asked.reference.name} --user <name> | ${asked.kubectl} apply -f -`,
    ],
  }),
  rule('access-switch', 'note', {
    find: ({ access }) => access.kind === 'reviewed' && denied(access, 'patch') && access,
    says: ({ user }, { asked: { reference } }) =>
      `${user ?? 'This user'} may not switch ${reference.name}: RBAC has no rule for patch.`,
    means: 'Reading is enough for this page. In an outage, another user has to make the switch.',
    users: 'Nothing.',
    mend: (_, { asked }) => [
      `${asked.program} create switcher-role ${asked.reference.name} --user <name> | ${asked.kubectl} apply -f -`,
    ],
  }),
];

function unread({ service }: Facts, codes: readonly string[]) {
  return service.kind === 'failed' && codes.includes(service.code) ? service : undefined;
}

function denied({ permissions }: Extract<Facts['access'], { kind: 'reviewed' }>, verb: string): boolean {
  return permissions.some((permission) => permission.verb === verb && !permission.allowed);
}
