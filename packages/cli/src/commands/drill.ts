import { resolve } from 'node:path';
import { InvalidArgumentError } from '@externalname/core';
import type { CanaryOptions, CanaryPlan, DrillReport } from '@externalname/drill';
import { chosenCluster } from '../cluster.ts';
import { type CommandContext, command } from '../command.ts';
import { ask, checkConfirmable } from '../confirm.ts';
import { databaseAccess } from '../database.ts';
import { drillOptions, thresholdsOf } from '../drill/options.ts';
import { eventLine, statusRow, writeEvent, writeResult } from '../drill/screen.ts';
import { exitCodeOf, exitCodes } from '../exit-codes.ts';
import { Live } from '../live.ts';
import { drillPackage } from '../optional-packages.ts';
import { allowedTargetsOf } from '../switching/allowed-targets.ts';

type Context = CommandContext<typeof drillOptions>;

/** `drill`: rehearses a failover. */
export const drillCommand = command({
  about:
    'Workers write through a Service while its database crashes, or is switched on purpose, and while it is switched back. Counts what was ' +
    'lost, done twice, hung and failed, and how long it took. By default on two PostgreSQL servers and a cluster that it starts and ends ' +
    'itself; with --service on a canary Service of your cluster, which it asks for before it changes anything. The exit status is 1 if ' +
    'anything is over its threshold, and 5 if the drill could not be played to its end.',
  options: drillOptions,
  examples: [
    { command: 'drill', does: 'crash and switch back, on this machine, in 20 to 30 seconds' },
    {
      command: 'drill --kind planned --max-pause 2s --report drill -o junit',
      does: 'in CI: reports in a folder, thresholds as exit status',
    },
    {
      command:
        'drill -n drill --service canary-db --to secondary-db.example.com --allowed-targets primary-db.example.com --kind planned',
      does: 'with a canary Service of the cluster',
    },
  ],
  run: drill,
});

async function drill(context: Context): Promise<number> {
  const { options, output, signal } = context;
  const { runDrill } = await drillPackage();
  const canary = await canaryOf(context);
  const { kind, workers, connections, pause, settle, recovery, decision, follow, ttl } = options;
  const live = new Live(output);
  const shown = output.isText && !options.quiet;
  const unmuted = muteWarnings();
  let report: DrillReport;
  try {
    report = await runDrill({
      ...{ kind, canary, workers, connections, follow, ttlSeconds: ttl, signal },
      ...{ pauseMillis: pause, settleMillis: settle, recoveryMillis: recovery, decisionMillis: decision },
      thresholds: thresholdsOf(options),
      onEvent: (event) => {
        if (shown) writeEvent(output, live, event);
        // A result on stdout leaves the story to stderr, for the log of a CI job.
        else if (!options.quiet) output.warn(eventLine(event));
      },
      onStatus: shown ? (status) => live.rows([statusRow(status)]) : undefined,
    });
  } catch (error) {
    const { code, message } = error as { readonly code?: unknown; readonly message?: unknown };
    if (!String(code).startsWith('ERR_EXTERNALNAME_DRILL_')) throw error;
    live.end();
    output.warn(String(message));
    return exitCodeOf(error) ?? exitCodes.failed;
  } finally {
    live.end();
    unmuted();
  }
  await show(context, report);
  return report.result.passed ? exitCodes.ok : exitCodes.failed;
}

/** The Service that was named; undefined for a drill on this machine. */
async function canaryOf(context: Context): Promise<CanaryOptions | undefined> {
  const { options, environment } = context;
  const { service, to, allowedTargets, allowedNetworks, nameserver, crashCommand, promoteCommand } = options;
  if (service === undefined) {
    checkLocal(options);
    return undefined;
  }
  if (to === undefined)
    throw new InvalidArgumentError('--to', 'must be given with --service: the host to switch to, and back from');
  if (options.confirm === undefined) checkConfirmable('--confirm', context);
  const access = await databaseAccess(options, environment);
  return {
    ...(await chosenCluster(options, environment)),
    ...{ service, to, crashCommand, promoteCommand },
    connection: { ...access, password: access.password },
    allowedTargets: allowedTargetsOf(allowedTargets, environment, [to]),
    allowedNetworks: allowedNetworks.includes('any') ? 'any' : allowedNetworks.length > 0 ? allowedNetworks : undefined,
    accept: options.accept,
    nameservers: nameserver.length > 0 ? nameserver : undefined,
    waitForPromotionMillis: options.waitForPromotion,
    confirm: (plan) => confirmed(context, plan),
  };
}

/** Options of a drill in a cluster would have no effect on this machine, and who wrote them expects one. */
function checkLocal(options: Context['options']): void {
  for (const name of ['to', 'crashCommand', 'promoteCommand', 'confirm'] as const) {
    if (options[name] !== undefined)
      throw new InvalidArgumentError(name, 'is for a drill in a cluster: name the canary Service with --service');
  }
}

async function confirmed(context: Context, { service, where, from, to, table }: CanaryPlan): Promise<boolean> {
  const { options, output } = context;
  const say = (text: string) => (output.isText ? output.line(text) : output.warn(text));
  say(output.style('strong', `Drill with ${service}`));
  say(`  cluster    ${where}`);
  say(`  switched   from ${from} to ${to}, and back`);
  say(`  written    to a table of its own, ${table}, which is removed in the end`);
  if (options.confirm === service) return true;
  if (options.confirm !== undefined) {
    const given = JSON.stringify(options.confirm);
    throw new InvalidArgumentError('--confirm', `must be ${service}, the Service that would be switched, got ${given}`);
  }
  const question = `Everything that uses this Service moves with it. Type ${service} to go on: `;
  return (await ask(question, context)) === service;
}

/** Shows and writes the result. */
async function show({ options, output }: Context, report: DrillReport): Promise<void> {
  const { result } = report;
  if (options.textfile !== undefined) {
    const { writeDrill } = await import('@externalname/prometheus/drill');
    const [, name = result.service] = result.service.split('/');
    await writeDrill({ file: resolve(options.textfile), name, passed: result.passed });
  }
  const files = options.report === undefined ? [] : await report.write(options.report);
  if (output.format === 'markdown') output.raw(report.toMarkdown());
  else if (output.format === 'junit') output.raw(report.toJUnit());
  else if (output.format === 'html') output.raw(report.toHtml());
  else if (output.isText) {
    writeResult(output, report);
    if (files.length > 0) output.line(`Reports in ${options.report}: ${files.join(', ')}`);
  } else output.data(result);
}

/** Keeps Node.js from writing the warnings of pools to stderr: the drill tells them. Returns the function that ends it. */
function muteWarnings(): () => void {
  const others = process.listeners('warning');
  const listen = (warning: Error) => {
    if (warning.name !== 'ExternalNameWarning') for (const other of others) other.call(process, warning);
  };
  process.removeAllListeners('warning');
  process.on('warning', listen);
  return () => {
    process.off('warning', listen);
    for (const other of others) process.on('warning', other);
  };
}
