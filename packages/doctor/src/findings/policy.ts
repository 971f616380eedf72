import { type Rule, rule } from './finding.ts';
import { patched } from './service.ts';

/** The allow-list: whether applications would accept the target and its addresses. */
export const policyRules: readonly Rule[] = [
  rule('target-refused', 'error', {
    find: ({ policy }) => policy.refusal?.code === 'ERR_EXTERNALNAME_TARGET_REFUSED' && policy,
    says: ({ refusal, from }) =>
      `The allow-list of ${from === 'option' ? '--allowed-targets' : 'EXTERNALNAME_ALLOWED_TARGETS'} does not have the target: ${refusal?.message ?? ''}.`,
    means:
      'Somebody pointed the Service to a host that its applications were not told about, by mistake or on purpose.',
    users:
      'Clients of @externalname stay on the last allowed target and report ERR_EXTERNALNAME_TARGET_REFUSED. Other clients follow.',
    mend: ({ allowedTargets }, facts) => [
      'If the switch was meant, add the host to allowedTargets of the applications, and deploy.',
      `${facts.asked.program} history ${facts.asked.reference.name}`,
      patched(facts, allowedTargets === 'any' ? '<host>' : (allowedTargets?.[0] ?? '<host>')),
    ],
  }),
  rule('address-refused', 'error', {
    find: ({ endpoints }) => endpoints.find(({ refusal }) => refusal !== undefined),
    says: ({ address, refusal }) =>
      `DNS gives the target the address ${address}, which clients refuse: ${refusal?.message ?? ''}.`,
    means:
      'The DNS records of the target lead to this machine, to the link or to a metadata service: a mistake, or DNS rebinding.',
    users:
      'Clients of @externalname report ERR_EXTERNALNAME_ADDRESS_REFUSED. Other clients connect to the wrong machine.',
    mend: ({ address }) => [
      'Correct the address records of the target.',
      `If the address is meant, name its network: --allowed-networks ${address}${address.includes(':') ? '/128' : '/32'}, and allowedNetworks in the applications.`,
    ],
  }),
  rule('allow-list-missing', 'warning', {
    find: ({ policy, service }) => policy.allowedTargets === undefined && service.kind !== 'missing',
    says: () => 'No allow-list was given: neither --allowed-targets nor EXTERNALNAME_ALLOWED_TARGETS.',
    means: 'Everyone who can edit the Service decides where passwords go. That is why no login was tried.',
    users: 'Clients of @externalname refuse to start without one: ERR_EXTERNALNAME_ALLOW_LIST_REQUIRED.',
    mend: (_, { asked, service }) => [
      `${asked.program} doctor ${asked.written} --allowed-targets ${(service.kind === 'found' ? service.target : undefined) ?? '<host,...>'}`,
    ],
  }),
];
