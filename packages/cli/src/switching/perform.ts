import { isExternalNameError } from '@externalname/core';
import {
  SwitchFailedError,
  type SwitchOptions,
  type SwitchProgress,
  SwitchRefusedError,
  type SwitchReport,
} from '@externalname/kubernetes';
import type { CommandContext } from '../command.ts';
import { ask, checkConfirmable } from '../confirm.ts';
import { exitCodeOf, exitCodes } from '../exit-codes.ts';
import { type Output, wrapped } from '../output.ts';
import type { switchingOptions } from './options.ts';
import { writePlan, writeRefusal, writeRemarks, writeStep } from './screen.ts';

type Context = CommandContext<typeof switchingOptions>;

/** A switch that may be tried before it is done: `switchTarget()` or `rollback()` with its options. */
export type Perform = (
  changes: Pick<SwitchOptions, 'dryRun' | 'onProgress'>,
  from: string | undefined,
) => Promise<SwitchReport>;

/**
 * Refuses a switch that would have to be confirmed where there is no terminal to ask at: to be called before anything is asked of the cluster.
 *
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT`
 */
export function checkAsking(context: Context): void {
  if (!context.options.yes && !context.options.dryRun) checkConfirmable('--yes', context);
}

/**
 * Shows what a switch would do, asks, does it step by step, and says what was done, in whatever way it ends. With `--yes` it is not tried
 * before: each step is shown as it is done.
 */
export async function perform(context: Context, title: string, run: Perform): Promise<number> {
  const { options, output, signal, programName } = context;
  checkAsking(context);
  let done: SwitchReport | undefined;
  const attempt = (dryRun: boolean, label: string, from?: string) =>
    output.progress(label, () => run({ dryRun, onProgress: told(context, dryRun) }, from));
  try {
    if (output.isText) output.line(output.style('strong', title));
    if (!options.yes) {
      const plan = await attempt(true, 'checking');
      if (output.isText) {
        output.line();
        writePlan(output, plan);
      }
      if (options.dryRun || plan.result === 'unchanged') {
        ended(context, plan);
        return exitCodes.ok;
      }
      if (output.isText) output.line();
      const answer = await ask(`Switch ${shortName(plan.service)}? [y/N] `, context);
      if (!/^y(es)?$/i.test(answer)) {
        output.warn('Not confirmed: nothing was changed.');
        return exitCodes.refused;
      }
      if (output.isText) output.line();
      done = await attempt(false, 'switching', plan.from);
    } else {
      done = await attempt(false, 'switching');
      if (output.isText) {
        output.line();
        writePlan(output, done);
      }
    }
    if (output.isText && !options.yes) writeRemarks(output, done);
    ended(context, done);
    if (output.isText && done.result === 'switched') {
      output.paragraph(`Back again: ${programName} rollback ${context.arguments.join(' ')}`, { tone: 'faint' });
    }
    return exitCodes.ok;
  } catch (error) {
    return failed(context, error, signal);
  }
}

/** Shows the steps, apart from those that a dry run leaves out. */
function told({ output }: Context, dryRun: boolean): ((progress: SwitchProgress) => void) | undefined {
  if (!output.isText) return undefined;
  return (progress) => {
    if (!dryRun || progress.state !== 'skipped') writeStep(output, progress);
  };
}

function ended({ output, options }: Context, report: SwitchReport): void {
  if (!output.isText) {
    output.data(report);
    return;
  }
  output.line();
  const short = shortName(report.service);
  const text = {
    switched: `${short} points to ${report.to} now.`,
    unchanged: `${short} points to ${report.to} already: nothing was changed.`,
    'dry-run': `A dry run: nothing was changed. ${short} still points to ${report.from}.`,
    'not-switched': `${short} still points to ${report.from}.`,
    unknown: `It is not known where ${short} points: check it before you try again.`,
  }[report.result];
  output.paragraph(text, { tone: options.dryRun ? 'plain' : 'good' });
}

/** Says what was done and what was not, and returns the exit status. */
function failed({ output }: Context, error: unknown, signal: AbortSignal): number {
  const report = error instanceof SwitchRefusedError || error instanceof SwitchFailedError ? error.report : undefined;
  if (report === undefined && !signal.aborted) throw error;
  if (!output.isText && report !== undefined && isExternalNameError(error)) {
    output.data({ ...report, error: { code: error.code, message: error.message, ...objectionsOf(error) } });
  }
  if (error instanceof SwitchRefusedError && output.isText) writeRefusal(output, error);
  if (signal.aborted) {
    const what = error instanceof SwitchFailedError ? error.message : 'nothing was changed.';
    say(output, `Interrupted: ${what}`);
    return exitCodeOf(signal.reason) ?? exitCodes.interrupted;
  }
  if (error instanceof SwitchRefusedError) return exitCodes.refused;
  if (!(error instanceof SwitchFailedError)) throw error;
  say(output, error.message);
  // Nothing was changed: what counts is what stood in the way.
  if (error.report.result === 'not-switched') return exitCodeOf(error.cause) ?? exitCodes.failed;
  return exitCodes.unfinished;
}

/** Writes to stderr, wrapped where stdout is a terminal, too. */
function say(output: Output, text: string): void {
  for (const line of wrapped(text, output.width)) output.warn(line);
}

function objectionsOf(error: unknown): object {
  return error instanceof SwitchRefusedError ? { objections: error.objections } : {};
}

function shortName(service: string): string {
  const [name, namespace] = service.split('.');
  return namespace === undefined ? service : `${namespace}/${name}`;
}
