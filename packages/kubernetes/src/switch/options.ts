import {
  type Clock,
  createTargetPolicy,
  type Dependencies,
  InvalidArgumentError,
  type Random,
  type TargetPolicy,
  type WaitOptions,
} from '@externalname/core';
import {
  aBoolean,
  aFunction,
  aNumber,
  anObjectWith,
  anything,
  aSignal,
  aText,
  checkOptions,
  dependenciesOf,
  either,
  isPrintable,
  listOf,
  oneOf,
  optional,
  optionsOf,
  type Shapes,
} from '@externalname/core/internal';
import { parseHostName } from '@externalname/core/names';
import { checkKubeConfig, type KubeConfigOption } from '../api/kube-config.ts';
import { type ObjectionKind, objectionKinds } from '../probes/postgres-state.ts';
import type { Probe } from '../probes/probe.ts';
import type { SwitchProgress } from './report.ts';

/** What {@link switchTarget} and {@link rollback} have in common. */
export interface SwitchOptions extends WaitOptions {
  /** `webscaler-db`, or with its namespace: `webscaler-db.default`. */
  service: string;
  /** Completes a short name. @defaultValue the one in `service`, else that of the kubeconfig's context or of the pod, else `default` */
  namespace?: string | undefined;
  /** The cluster's domain. @defaultValue the one in `service`, else that of resolv.conf, else `cluster.local` */
  clusterDomain?: string | undefined;
  /** Where the API is, and how to log in. @defaultValue as kubectl: the files that `KUBECONFIG` lists, else `~/.kube/config`, else the pod's service account */
  kubeConfig?: KubeConfigOption | undefined;
  /** The hosts that the Service may point to, the same list as in the applications; `'any'` must be spelled out. */
  allowedTargets: readonly string[] | 'any';
  /** Why, for the annotation and the Event. One line of at most 1000 characters, without control characters. */
  reason?: string | undefined;
  /** Who, for the annotation and the Event. As `reason`. @defaultValue the user that the API server sees */
  by?: string | undefined;
  /**
   * Checks to run before anything is changed. The old target is only probed if it is on the allow-list itself, because a probe
   * may send it credentials. @defaultValue none
   */
  probes?: { target?: readonly Probe[] | undefined; previous?: readonly Probe[] | undefined } | undefined;
  /** Longest time for one probe. Milliseconds, 1 to 600000. @defaultValue 5000 */
  probeTimeoutMillis?: number | undefined;
  /** How far a standby may lag behind the old target. Bytes of the write-ahead log, 0 or more. @defaultValue 0 */
  maxLagBytes?: number | undefined;
  /** Objections to ignore. The report lists them. @defaultValue none */
  accept?: readonly ObjectionKind[] | undefined;
  /**
   * How long to wait, before anything is changed, for a new target that is still a standby to be promoted. Meanwhile the probes run
   * again and again. Milliseconds, 0 to 3600000. @defaultValue 0: a standby is refused at once
   */
  waitForPromotionMillis?: number | undefined;
  /**
   * How long pools that watch the Service (`kubernetesSource()`) hold new work for this switch, at most: from the announcement, which is
   * written before the probes, until the Service points to the new target. Announce it if you wait for a promotion. Milliseconds, 0 to
   * 60000. @defaultValue 0: the switch is not announced
   */
  announceMillis?: number | undefined;
  /** Called as a step begins, while it waits, and when it is over. What it throws does not stop the switch. @defaultValue none */
  onProgress?: ((progress: SwitchProgress) => void) | undefined;
  /** Whether to stop before the Service is changed. @defaultValue false */
  dryRun?: boolean | undefined;
  /**
   * Steps to leave out, because they take time between the probes and the patch: `dry-run` asks the API server whether it would accept the patch, which
   * is guarded all the same; `watch` waits until a watch shows the new name. For programs that follow an engine. @defaultValue none
   */
  skip?: readonly ('dry-run' | 'watch')[] | undefined;
  /**
   * DNS servers that must answer with the new name, each by its own address (`10.96.0.10`, `127.0.0.1:5353`). The cluster's DNS
   * has one virtual address for several pods; list the pods to ask each of them. `false` waits for none.
   * @defaultValue the servers of resolv.conf in a pod, else none
   */
  dnsServers?: readonly string[] | false | undefined;
  /** Longest time for DNS and the watch to show the new name, after the patch. Milliseconds. @defaultValue 90000 */
  propagationTimeoutMillis?: number | undefined;
  /** Longest time for one request to the API. Milliseconds, 100 to 60000. @defaultValue 10000 */
  requestTimeoutMillis?: number | undefined;
}

/** See {@link switchTarget}. */
export interface SwitchTargetOptions extends SwitchOptions {
  /** The new target: a host name. */
  to: string;
  /** Where you believe the Service points now. If it points elsewhere, it is not changed. */
  expect?: string | undefined;
}

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

const whole = (least: number, most: number) => optional(aNumber({ least, most, whole: true }));
const probes = optional(listOf(anObjectWith('run')));

/** The check of each option of {@link SwitchOptions}, for functions that pass some of them on. */
export const switchShapes = {
  service: aText,
  namespace: optional(aText),
  clusterDomain: optional(aText),
  reason: optional(aText),
  by: optional(aText),
  probes: optional(optionsOf<NonNullable<SwitchOptions['probes']>>({ target: probes, previous: probes })),
  accept: optional(listOf(oneOf(...objectionKinds))),
  waitForPromotionMillis: whole(0, 3_600_000),
  announceMillis: whole(0, 60_000),
  onProgress: optional(aFunction),
  dryRun: optional(aBoolean),
  skip: optional(listOf(oneOf('dry-run', 'watch'))),
  dnsServers: optional(either(oneOf(false), listOf(aText))),
  kubeConfig: anything,
  allowedTargets: anything,
  probeTimeoutMillis: whole(1, 600_000),
  maxLagBytes: whole(0, Number.MAX_SAFE_INTEGER),
  propagationTimeoutMillis: whole(1, 3_600_000),
  requestTimeoutMillis: whole(100, 60_000),
  signal: aSignal,
} satisfies Shapes<SwitchOptions>;
