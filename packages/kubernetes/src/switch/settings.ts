import {
  type Clock,
  createTargetPolicy,
  type Dependencies,
  InvalidArgumentError,
  type Random,
  type TargetPolicy,
} from '@externalname/core';
import { checkOptions, dependenciesOf, isPrintable, type Shapes } from '@externalname/core/internal';
import { parseHostName } from '@externalname/core/names';
import { checkKubeConfig } from '../api/kube-config.ts';
import type { ObjectionKind } from '../probes/postgres-state.ts';
import type { Probe } from '../probes/probe.ts';
import { switchShapes } from './option-shapes.ts';
import type { SwitchOptions } from './options.ts';
import type { SwitchProgress } from './report.ts';

/** {@link SwitchOptions}, checked and complete. */
export interface SwitchSettings {
  readonly reason: string | undefined;
  readonly by: string | undefined;
  readonly targetProbes: readonly Probe[];
  readonly previousProbes: readonly Probe[];
  readonly probeTimeoutMillis: number;
  readonly maxLagBytes: number;
  readonly accept: ReadonlySet<ObjectionKind>;
  readonly waitForPromotionMillis: number;
  readonly announceMillis: number;
  readonly onProgress: ((progress: SwitchProgress) => void) | undefined;
  readonly dryRun: boolean;
  readonly skip: ReadonlySet<string>;
  readonly dnsServers: readonly string[] | false | undefined;
  readonly propagationTimeoutMillis: number;
  readonly requestTimeoutMillis: number;
  readonly clock: Clock;
  readonly random: Random;
}

/**
 * Checks the options, and the others that this caller takes, before any I/O.
 *
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT`
 * @throws AllowListRequiredError `ERR_EXTERNALNAME_ALLOW_LIST_REQUIRED`
 */
export function switchSettings<Options extends SwitchOptions>(
  options: Options,
  dependencies: Dependencies,
  others: Shapes<Omit<NoInfer<Options>, keyof SwitchOptions>>,
): SwitchSettings {
  checkOptions<object>(options, { ...switchShapes, ...others });
  checkKubeConfig(options.kubeConfig);
  policyOf(options);
  return {
    reason: shortText(options.reason, 'reason'),
    by: shortText(options.by, 'by'),
    targetProbes: options.probes?.target ?? [],
    previousProbes: options.probes?.previous ?? [],
    probeTimeoutMillis: options.probeTimeoutMillis ?? 5_000,
    maxLagBytes: options.maxLagBytes ?? 0,
    accept: new Set(options.accept ?? []),
    waitForPromotionMillis: options.waitForPromotionMillis ?? 0,
    announceMillis: options.announceMillis ?? 0,
    onProgress: options.onProgress,
    dryRun: options.dryRun ?? false,
    skip: new Set(options.skip ?? []),
    dnsServers: options.dnsServers,
    propagationTimeoutMillis: options.propagationTimeoutMillis ?? 90_000,
    requestTimeoutMillis: options.requestTimeoutMillis ?? 10_000,
    ...dependenciesOf(dependencies),
  };
}

/**
 * The canonical form of a name that the Service may be pointed to.
 *
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT` if it is not a host name
 * @throws TargetRefusedError `ERR_EXTERNALNAME_TARGET_REFUSED` if it is not on the allow-list
 * @throws TargetIsAddressError `ERR_EXTERNALNAME_TARGET_IS_ADDRESS`
 */
export function allowedTarget(options: SwitchOptions, name: string, argument: string): string {
  const externalName = parseHostName(name, argument);
  policyOf(options).checkTarget({ externalName, via: [options.service] });
  return externalName;
}

/** Whether a name is on the allow-list. */
export function isAllowed(options: SwitchOptions, name: string): boolean {
  return policyOf(options).allows({ externalName: name, via: [options.service] });
}

function policyOf({ service, allowedTargets }: SwitchOptions): TargetPolicy {
  return createTargetPolicy({ service, allowedTargets });
}

function shortText(text: string | undefined, argument: string): string | undefined {
  if (text !== undefined && text.length > 1_000) {
    throw new InvalidArgumentError(
      argument,
      `must have at most 1000 characters, because an annotation keeps it; got ${text.length}`,
    );
  }
  if (text !== undefined && !isPrintable(text)) {
    throw new InvalidArgumentError(
      argument,
      'must be one line of plain text, because terminals show it; it has a line break or another control character',
    );
  }
  return text;
}
