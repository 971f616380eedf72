import { isExternalNameError } from '@externalname/core';
import { drillFinished } from '@externalname/core/events';
import { printable } from '@externalname/core/internal';
import { DrillNotConfirmedError, DrillUnfinishedError } from '../errors.ts';
import { canaryPlace } from '../places/canary-place.ts';
import { localPlace } from '../places/local-place.ts';
import type { Place } from '../places/place.ts';
import { now, type Rehearsal, rehearse } from '../rehearsal/rehearsal.ts';
import { statusOf } from '../rehearsal/status.ts';
import { Told } from '../rehearsal/telling.ts';
import { type DrillReport, reportOf } from '../reports/report.ts';
import { plotOf } from '../result/plot.ts';
import { resultOf } from '../result/result.ts';
import { type DrillOptions, type DrillSettings, drillSettings } from './options.ts';

/**
 * Rehearses a failover: workers write through a Service while its database crashes, or is switched on purpose, and while it is switched
 * back. Counts what was lost, done twice, hung and failed, and how long it took. On this machine it starts two PostgreSQL servers and a
 * cluster, and ends them; with `canary` it switches a Service of your cluster, and puts it back, however it ends.
 *
 * Publishes `externalname:drill:finished`.
 *
 * @throws DrillUnfinishedError `ERR_EXTERNALNAME_DRILL_UNFINISHED` if it could not be played to its end; `cause` says why
 * @throws DrillNotConfirmedError `ERR_EXTERNALNAME_DRILL_NOT_CONFIRMED` if `confirm` said no: nothing was changed
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT`
 *
 * @example
 * ```ts
 * const report = await runDrill({ kind: 'planned', thresholds: { pauseMillis: 5_000 } });
 * await report.write('reports');
 * if (!report.result.passed) process.exitCode = 1;
 * ```
 */
export async function runDrill(options: DrillOptions = {}): Promise<DrillReport> {
  const settings = drillSettings(options);
  const { signal, thresholds, makePool, onEvent, onStatus } = settings;
  signal?.throwIfAborted();
  const startedAt = new Date();
  const told = new Told(onEvent ?? (() => undefined));
  const unheard = hearWarnings((warning) => told.event('pool', warning, { tone: 'faint' }));
  let place: Place | undefined;
  let facts: Pick<Place, 'service' | 'where' | 'ttlSeconds' | 'servers'>;
  let rehearsal: Rehearsal;
  try {
    place = await placeOf(settings, told);
    const { servers } = place;
    facts = place;
    let statedAt = Number.NEGATIVE_INFINITY;
    rehearsal = await rehearse({
      place,
      settings,
      telling: told,
      makePool,
      onReport: (ledger) => {
        const at = now();
        if (onStatus === undefined || at - statedAt < statusMillis) return;
        statedAt = at;
        onStatus(statusOf(ledger, servers, told.seconds(at), at));
      },
      signal,
    });
  } catch (error) {
    if (signal?.aborted) {
      told.event('operator', 'interrupted: everything is taken down', { tone: 'bad', part: true });
      throw error;
    }
    // What the drill was not begun for says so itself.
    if (error instanceof DrillNotConfirmedError || (place === undefined && isExternalNameError(error))) throw error;
    throw new DrillUnfinishedError(error instanceof Error ? error : new Error(String(error)));
  } finally {
    await place?.[Symbol.asyncDispose]();
    unheard();
  }
  const { plot, draw } = plotOf(rehearsal, facts, told);
  const { zero, events, marks } = told;
  const result = resultOf({ rehearsal, settings, thresholds, place: facts, startedAt, zero, events, marks, plot });
  const [, name = result.service] = result.service.split('/');
  drillFinished.publish(() => ({ name, passed: result.passed }));
  return reportOf(result, draw);
}

/** Where the drill plays: on this machine, or with the Service that was named. */
function placeOf(settings: DrillSettings, telling: Told): Promise<Place> {
  const { canary, push, ttlSeconds, decisionMillis, signal } = settings;
  return canary === undefined
    ? localPlace({ ttlSeconds, push, decisionMillis, telling, signal })
    : canaryPlace({ ...canary, push, ttlSeconds, telling, signal });
}

/** Hears what pools warn of, which is a part of the story. Returns the function that ends it. */
function hearWarnings(hear: (text: string) => void): () => void {
  const listen = ({ name, message }: Error) => {
    if (name === 'ExternalNameWarning') hear(printable(message.replaceAll('\n', ' | '), 600));
  };
  process.on('warning', listen);
  return () => process.off('warning', listen);
}

const statusMillis = 250;
