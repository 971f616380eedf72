import { ExternalNameError, type ExternalNameErrorOptions, type Outcome } from '@externalname/core';
import { type ClusterName, describeCluster } from '../kubeconfig/cluster-name.ts';
import type { Objection } from '../probes/postgres-state.ts';
import type { ProbeResult } from '../probes/probe.ts';

/** The steps of a switch, in order. */
export type SwitchStepName =
  /** Read the Service: it must be of type ExternalName and point to the expected target. */
  | 'read'
  /** Probe the new target and the old one. */
  | 'probe'
  /** Let the API server check the patch without writing it. */
  | 'dry-run'
  /** Change the Service. */
  | 'patch'
  /** Write a Kubernetes Event. */
  | 'event'
  /** See the new name through a watch. */
  | 'watch'
  /** See the new name in the answer of every DNS server. */
  | 'dns';

/** The result of one step. */
export interface SwitchStep {
  /** Which step it is. */
  readonly step: SwitchStepName;
  /** `skipped`: not asked for or not possible, see `detail`. `not-reached`: an earlier step failed. */
  readonly state: 'done' | 'skipped' | 'failed' | 'not-reached';
  /** The result in words. */
  readonly detail: string;
  /** How long it took, in milliseconds. */
  readonly elapsedMillis: number;
}

/** What a switch does at the moment: see `onProgress`. */
export interface SwitchProgress {
  /** Which step it is. */
  readonly step: SwitchStepName;
  /** `running`: it has begun, or goes on waiting for what `detail` says. */
  readonly state: 'running' | Exclude<SwitchStep['state'], 'not-reached'>;
  /** The result in words, or what it waits for. */
  readonly detail: string;
  /** How long it has taken so far, in milliseconds. */
  readonly elapsedMillis: number;
  /** Of the step `probe`: what the probes found. */
  readonly probes: readonly ProbeResult[];
}

/** How long one DNS server took to give the new name, counted from the patch. */
export interface DnsPropagation {
  /** `address:port` */
  readonly server: string;
  /** How long it took, in milliseconds. */
  readonly elapsedMillis: number;
}

/** What a switch did, or would do. */
export interface SwitchReport {
  /** `<name>.<namespace>.svc.<cluster domain>` */
  readonly service: string;
  /** Where that Service is; undefined if no configuration of the Kubernetes API could be read. */
  readonly cluster: ClusterName | undefined;
  /** Where it pointed before; undefined if it could not be read. */
  readonly from: string | undefined;
  /** Where it should point. */
  readonly to: string;
  /**
   * `switched`: the Service points to the new target. `unchanged`: it did already. `dry-run`: the server would accept it.
   * `not-switched`: nothing was changed. `unknown`: the patch was sent, and its effect could not be determined.
   */
  readonly result: 'switched' | 'unchanged' | 'dry-run' | 'not-switched' | 'unknown';
  /** Names this switch in annotations and events. */
  readonly id: string;
  /** Who switched. */
  readonly by: string | undefined;
  /** RFC 3339, UTC. */
  readonly at: string;
  /** Why, in one line. */
  readonly reason: string | undefined;
  /** What was done, in order. */
  readonly steps: readonly SwitchStep[];
  /** What the probes found. */
  readonly probes: readonly ProbeResult[];
  /** Objections that the caller accepted. */
  readonly accepted: readonly Objection[];
  /** What the operator should know, such as a tool that will put the old name back, or an Event that could not be written. */
  readonly warnings: readonly string[];
  /** When each DNS server answered with the new target. */
  readonly dns: readonly DnsPropagation[];
}

/**
 * A switch was refused before anything was changed. Code `ERR_EXTERNALNAME_SWITCH_REFUSED`; `objections` has the
 * reasons, and the kinds that you may pass in `accept`.
 */
export class SwitchRefusedError extends ExternalNameError {
  /** Nothing was changed, so a retry is safe. */
  override readonly outcome = 'not-executed';
  /** All reasons against the switch. */
  readonly objections: readonly (
    | Objection
    | { readonly kind: 'unexpected-target' | 'nothing-to-roll-back'; message: string }
  )[];
  /** What was done before the refusal. */
  readonly report: SwitchReport;

  constructor(report: SwitchReport, objections: SwitchRefusedError['objections'], options?: ExternalNameErrorOptions) {
    const reasons = objections.map(({ kind, message }) => `${message} (${kind})`).join('; ');
    super(
      'ERR_EXTERNALNAME_SWITCH_REFUSED',
      `refused to switch ${report.service} to ${report.to}${inCluster(report)}: ${reasons}`,
      options,
    );
    this.objections = objections;
    this.report = report;
  }
}

/**
 * A step of a switch failed. Code `ERR_EXTERNALNAME_SWITCH_FAILED`; the message and `report` say what was done and
 * what was not. `outcome` is `not-executed` if the Service is as it was, `unknown` if that could not be determined, and absent if
 * the Service was switched and a later step failed.
 */
export class SwitchFailedError extends ExternalNameError {
  /** What is known of the patch. */
  declare readonly outcome?: Outcome;
  /** What was done before the failure. */
  readonly report: SwitchReport;

  constructor(report: SwitchReport, options: ExternalNameErrorOptions) {
    super('ERR_EXTERNALNAME_SWITCH_FAILED', failureMessage(report, options.cause), options);
    if (report.result === 'not-switched') Object.assign(this, { outcome: 'not-executed' });
    if (report.result === 'unknown') Object.assign(this, { outcome: 'unknown' });
    this.report = report;
  }
}

function failureMessage(report: SwitchReport, cause: unknown): string {
  const failed = report.steps.find(({ state }) => state === 'failed');
  const list = (state: SwitchStep['state']) =>
    report.steps
      .filter((step) => step.state === state)
      .map(({ step }) => step)
      .join(', ') || 'nothing';
  const reason = cause instanceof Error ? cause.message : String(cause);
  return (
    `the switch of ${report.service} to ${report.to}${inCluster(report)} failed at ${failed?.step ?? 'its start'}: ${reason}. ` +
    `${stateOfService(report)} Done: ${list('done')}. Not done: ${list('not-reached')}`
  );
}

function inCluster({ cluster }: SwitchReport): string {
  return cluster === undefined ? '' : ` at ${describeCluster(cluster)}`;
}

function stateOfService({ result, from, to }: SwitchReport): string {
  if (result === 'switched' || result === 'unchanged') return `The Service points to ${to} now.`;
  if (result === 'unknown')
    return `It is not known whether the Service points to ${to}: check it before you try again.`;
  return from === undefined ? 'Nothing was changed.' : `The Service still points to ${from}, nothing was changed.`;
}
