import { createTargetPolicy, discoverClusterContext, parseServiceReference } from '@externalname/core';
import { type KubeConfigLike, KubernetesConfigError, loadKubeConfig } from '@externalname/kubernetes';
import type { Asked, Facts, Failed } from '../facts/facts.ts';
import { failureOf, gather } from '../facts/gather.ts';
import { type Finding, judge } from '../findings/finding.ts';
import { rules } from '../findings/rules.ts';
import { findNameservers, type Nameservers } from '../names/nameservers.ts';
import { type LookedAt, summarize } from './looked-at.ts';
import { type DiagnoseOptions, type DiagnoseSettings, diagnoseSettings } from './options.ts';

/** What is wrong with a Service, and everything that was looked at. */
export interface Diagnosis {
  /** Full name of the Service. */
  readonly service: string;
  /** The host that it points to, which TLS verifies; undefined if there is none. */
  readonly target: string | undefined;
  /** Whether there is no error and no warning among the findings. */
  readonly healthy: boolean;
  /** What is wrong. The first one is what the others follow from. */
  readonly findings: readonly Finding[];
  /** One line for each thing that was looked at. */
  readonly lookedAt: readonly LookedAt[];
  /** What the findings were judged by. */
  readonly facts: Facts;
}

/**
 * Looks at a Service of type ExternalName from end to end, and says what is wrong: the Service, the allow-list, what each DNS server says,
 * TCP and TLS to every address, PostgreSQL or HTTPS, and what the user of the kubeconfig may do. Changes nothing. What cannot be reached is
 * a finding, not an error.
 *
 * A password is sent only to a target that is on the allow-list and has proven its name.
 *
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT`
 *
 * @example
 * ```ts
 * const { healthy, findings } = await diagnose({
 *   service: 'webscaler-db',
 *   allowedTargets: ['primary-db.example.com', 'secondary-db.example.com'],
 * });
 * if (!healthy) console.log(findings[0]?.says, findings[0]?.mend);
 * ```
 */
export async function diagnose(given: DiagnoseOptions): Promise<Diagnosis> {
  const settings = diagnoseSettings(given);
  const { allowedTargets, allowedNetworks, service, namespace, clusterDomain, signal } = settings;
  // What cannot be used is said before anything is asked.
  createTargetPolicy({ service, allowedTargets: allowedTargets ?? 'any', ...(allowedNetworks && { allowedNetworks }) });
  parseServiceReference(service, { namespace, clusterDomain });
  signal?.throwIfAborted();
  const [kubeConfig, nameservers] = await Promise.all([clusterOf(settings), findNameservers(settings)]);
  const asked = askedFor(settings, kubeConfig, nameservers);
  const facts = await gather({
    ...settings,
    allowedNetworks,
    ca: settings.ca,
    login: settings.login,
    asked,
    kubeConfig,
    nameservers,
    signal,
  });
  return diagnosisOf(facts);
}

/** What the facts come to. Pure. */
export function diagnosisOf(facts: Facts): Diagnosis {
  const findings = judge(facts, rules);
  return {
    service: facts.asked.reference.fullName,
    target: facts.target?.externalName,
    healthy: findings.every(({ severity }) => severity === 'note'),
    findings,
    lookedAt: summarize(facts),
    facts,
  };
}

/** The code of each finding of {@link diagnose}, with its severity, in the order in which one fault brings about the next. */
export const findingCodes: readonly Readonly<Pick<Finding, 'rule' | 'severity'>>[] = rules.map(
  ({ code: rule, severity }) => ({
    rule,
    severity,
  }),
);

/** The cluster, or why there is none. */
async function clusterOf({
  kubeConfig,
  kubectl = {},
  environment,
  signal,
}: DiagnoseSettings): Promise<KubeConfigLike | Failed> {
  if (typeof kubeConfig === 'object') return kubeConfig;
  const { kubeconfig: file = kubeConfig, context } = kubectl;
  try {
    return await loadKubeConfig({ file, context, environment });
  } catch (error) {
    if (!(error instanceof KubernetesConfigError)) throw error;
    return failureOf(error, signal);
  }
}

function askedFor(settings: DiagnoseSettings, kubeConfig: KubeConfigLike | Failed, nameservers: Nameservers): Asked {
  const { service, port, protocol, role, program, kubectl = {} } = settings;
  const config = 'kind' in kubeConfig ? undefined : kubeConfig;
  const current = config?.getContextObject(config.getCurrentContext())?.namespace;
  const namespace = settings.namespace ?? (current || discoverClusterContext({ searchDomains: [] }).namespace);
  const clusterDomain = settings.clusterDomain ?? nameservers.clusterDomain;
  const reference = parseServiceReference(service, { namespace, clusterDomain });
  const file = kubectl.kubeconfig ?? (typeof settings.kubeConfig === 'string' ? settings.kubeConfig : undefined);
  const named = [
    ...(file === undefined ? [] : ['--kubeconfig', quoted(file)]),
    ...(kubectl.context === undefined ? [] : ['--context', quoted(kubectl.context)]),
  ];
  const inNamespace =
    reference.namespace === current || (current === undefined && reference.namespace === 'default')
      ? []
      : ['-n', quoted(reference.namespace)];
  return {
    reference,
    written: service,
    port,
    protocol,
    role,
    kubectl: ['kubectl', ...named, ...inNamespace].join(' '),
    program,
    flags: [...named, ...(service.includes('.') ? [] : inNamespace)].map((word) => ` ${word}`).join(''),
  };
}

/** A word as a shell reads it back. */
function quoted(word: string): string {
  return /^[\w./:@%+=,-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
