import { resolve } from 'node:path';
import { InvalidArgumentError, isExternalNameError } from '@externalname/core';
import { drillFinished } from '@externalname/core/events';
import { Pool } from '@externalname/pg';
import { chosenCluster } from '../cluster.ts';
import { type Command, type CommandContext, command } from '../command.ts';
import { ask, checkConfirmable } from '../confirm.ts';
import { databaseAccess } from '../database.ts';
import { type ClusterPlan, clusterPlace, NotConfirmed } from '../drill/cluster-place.ts';
import { drawnPlot } from '../drill/drawn-plot.ts';
import { localPlace } from '../drill/local-place.ts';
import { drillOptions, thresholdsOf } from '../drill/options.ts';
import type { MakePool, Place, Telling } from '../drill/place.ts';
import { now, type Rehearsal, type RehearsalSettings, rehearse } from '../drill/rehearsal.ts';
import { htmlReport } from '../drill/report-html.ts';
import { junitReport } from '../drill/report-junit.ts';
import { markdownReport } from '../drill/report-markdown.ts';
import { writeReports } from '../drill/reports.ts';
import { type DrillResult, resultOf } from '../drill/result.ts';
import { statusRow, writeEvent, writeResult } from '../drill/screen.ts';
import { Told } from '../drill/telling.ts';
import { exitCodes } from '../exit-codes.ts';
import { Live } from '../live.ts';
import { allowedTargetsOf } from '../switching/allowed-targets.ts';
import { acceptedObjections } from '../switching/options.ts';
import { type Testing, testingPackage } from '../testing-package.ts';

type Context = CommandContext<typeof drillOptions>;

/** `drill` with another pool: so that a test can rehearse with one that does not move. */
export function drillWith(makePool: MakePool): Command {
  return command({
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
    run: (context) => drill(context, makePool),
  });
}

/** `drill`: rehearses a failover. */
export const drillCommand = drillWith((options) => new Pool(options));

async function drill(context: Context, makePool: MakePool): Promise<number> {
  const { options, output, signal } = context;
  const testing = await testingPackage('drill');
  const thresholds = thresholdsOf(options);
  const settings: RehearsalSettings = {
    kind: options.kind ?? 'crash',
    workers: options.workers ?? 20,
    connections: options.connections ?? 10,
    pauseMillis: options.pause ?? 20,
    settleMillis: options.settle ?? 3_000,
    recoveryMillis: options.recovery ?? 20_000,
  };
  const startedAt = new Date();
  const live = new Live(output);
  const shown = output.isText && !options.quiet;
  const told = new Told((event) => {
    if (shown) writeEvent(output, live, event);
    // A result on stdout leaves the story to stderr, for the log of a CI job.
    else if (!options.quiet) output.warn(`${event.at.toFixed(2).padStart(6)} s  ${event.who.padEnd(8)}  ${event.text}`);
  });
  // What the pool warns of is a part of the story. On a terminal it would stand in the middle of it.
  const unheard = hearWarnings((warning) => told.event('pool', warning, { tone: 'faint' }));
  let place: Place | undefined;
  let facts: Pick<Place, 'service' | 'where' | 'ttlSeconds' | 'servers'>;
  let rehearsal: Rehearsal;
  try {
    place = await placeOf(context, testing, told);
    const { servers } = place;
    facts = place;
    const status = (at: number, row: string) => {
      if (shown && at - drawnAt >= statusMillis) {
        drawnAt = at;
        live.rows([row]);
      }
    };
    let drawnAt = Number.NEGATIVE_INFINITY;
    rehearsal = await rehearse({
      place,
      settings,
      telling: told,
      makePool,
      testing,
      onReport: (ledger) => status(now(), statusRow(ledger, servers, told.seconds(now()), now())),
      signal,
    });
  } catch (error) {
    live.end();
    if (error instanceof NotConfirmed) {
      output.warn(`Not confirmed: ${error.message} was not touched.`);
      return exitCodes.refused;
    }
    if (signal.aborted) told.event('operator', 'interrupted: everything is taken down', { tone: 'bad', part: true });
    if (signal.aborted || place === undefined || !isExternalNameError(error)) throw error;
    output.warn(`The drill could not be played to its end: ${error.message}`);
    return exitCodes.unfinished;
  } finally {
    live.end();
    await place?.[Symbol.asyncDispose]();
    unheard();
  }
  const { plot, drawn } = drawnPlot(testing, rehearsal, facts, told, output.width ?? 80);
  const result = resultOf({
    rehearsal,
    settings,
    thresholds,
    place: facts,
    startedAt,
    zero: told.zero,
    events: told.events,
    marks: told.marks,
    plot,
  });
  await finish(context, result, drawn);
  return result.passed ? exitCodes.ok : exitCodes.failed;
}

/** Where the drill plays: on this machine, or with the Service that was named. */
async function placeOf(context: Context, testing: Testing, telling: Telling): Promise<Place> {
  const { options, environment, signal } = context;
  const ttlSeconds = options.ttl ?? 5;
  if (options.service === undefined) {
    checkLocal(options);
    const decisionMillis = options.decision ?? 1_000;
    return localPlace({ ttlSeconds, push: options.follow === 'kubernetes', decisionMillis, telling, testing, signal });
  }
  const { service, to, confirm } = options;
  if (to === undefined)
    throw new InvalidArgumentError('--to', 'must be given with --service: the host to switch to, and back from');
  if (confirm === undefined) checkConfirmable('--confirm', context);
  return clusterPlace({
    service,
    to,
    cluster: await chosenCluster(options, environment),
    access: await databaseAccess(options, environment),
    allowed: allowedTargetsOf(options.allowedTargets, environment, [to]),
    allowedNetworks: options.allowedNetworks,
    accept: acceptedObjections(options.accept),
    nameservers: options.nameserver,
    push: options.follow !== 'dns',
    ttlSeconds,
    crashCommand: options.crashCommand,
    promoteCommand: options.promoteCommand,
    waitForPromotionMillis: options.waitForPromotion ?? 60_000,
    telling,
    testing,
    confirm: (plan) => confirmed(context, plan),
    signal,
  });
}

/** Options of a drill in a cluster would have no effect on this machine, and who wrote them expects one. */
function checkLocal(options: Context['options']): void {
  const { to, crashCommand, promoteCommand, confirm } = options;
  const given = Object.entries({
    '--to': to,
    '--crash-command': crashCommand,
    '--promote-command': promoteCommand,
    '--confirm': confirm,
  });
  for (const [option, value] of given) {
    if (value !== undefined)
      throw new InvalidArgumentError(option, 'is for a drill in a cluster: name the canary Service with --service');
  }
}

async function confirmed(context: Context, { service, where, from, to, table }: ClusterPlan): Promise<boolean> {
  const { options, output } = context;
  const say = (text: string) => (output.isText ? output.line(text) : output.warn(text));
  say(output.style('strong', `Drill with ${service}`));
  say(`  cluster    ${where}`);
  say(`  switched   from ${from} to ${to}, and back`);
  say(`  written    to a table of its own, ${table}, which is removed in the end`);
  if (options.confirm !== undefined) {
    if (options.confirm === service) return true;
    throw new InvalidArgumentError(
      '--confirm',
      `must be ${service}, the Service that would be switched, got ${JSON.stringify(options.confirm)}`,
    );
  }
  return (
    (await ask(`Everything that uses this Service moves with it. Type ${service} to go on: `, context)) === service
  );
}

/** Shows and writes the result, and publishes it in this process. */
async function finish(context: Context, result: DrillResult, drawn: readonly string[]): Promise<void> {
  const { options, output } = context;
  const [, name = result.service] = result.service.split('/');
  drillFinished.publish(() => ({ name, passed: result.passed }));
  if (options.textfile !== undefined) {
    const { writeDrill } = await import('@externalname/prometheus/drill');
    await writeDrill({ file: resolve(options.textfile), name, passed: result.passed });
  }
  const files = options.report === undefined ? [] : await writeReports(options.report, result, drawn);
  if (output.format === 'markdown') output.raw(markdownReport(result, drawn));
  else if (output.format === 'junit') output.raw(junitReport(result));
  else if (output.format === 'html') output.raw(htmlReport(result));
  else if (output.isText) {
    writeResult(output, result, drawn);
    if (files.length > 0) output.line(`Reports in ${options.report}: ${files.join(', ')}`);
  } else output.data(result);
}

/** Hears the warnings of pools in place of Node.js, which writes all to stderr. Returns the function that ends it. */
function hearWarnings(hear: (text: string) => void): () => void {
  const others = process.listeners('warning');
  const listen = (warning: Error) => {
    if (warning.name === 'ExternalNameWarning') hear(warning.message.replaceAll('\n', ' | ').slice(0, 600));
    else for (const other of others) other.call(process, warning);
  };
  process.removeAllListeners('warning');
  process.on('warning', listen);
  return () => {
    process.off('warning', listen);
    for (const other of others) process.on('warning', other);
  };
}

const statusMillis = 250;
