import type { Sight, SightedSource } from '@externalname/doctor';
import { chosenCluster, clusterOptions } from '../cluster.ts';
import { choice, command, text } from '../command.ts';
import { duration } from '../duration.ts';
import { exitCodes } from '../exit-codes.ts';
import { Live } from '../live.ts';
import { nameserverOptions } from '../nameservers.ts';
import type { Output } from '../output.ts';

/** `watch`: what each source sees of a Service, as it changes. */
export const watchCommand = command({
  arguments: [
    { name: '<service>', summary: 'the Service: webscaler-db, or webscaler-db.namespace', complete: 'services' },
  ],
  about:
    'Shows where the Service points by a watch of the Kubernetes API and by each DNS server, a line for each change, until Ctrl-C. On a ' +
    'terminal, the last lines show how each of them looks at the moment.',
  options: {
    nameservers: nameserverOptions.nameservers,
    until: text('--until <host>', 'end as soon as all of them see this host'),
    for: duration('--for <time>', 'end after this time; with --until the exit status is then 1', {
      least: 1,
      most: 86_400_000,
    }),
    interval: duration('--interval <time>', 'pause between two questions to a DNS server; default: 1s', {
      least: 50,
      most: 3_600_000,
    }),
    ...clusterOptions,
    output: choice('-o, --output <format>', 'how it is written, json with one object a line', ['text', 'json']),
  },
  examples: [
    { command: 'watch webscaler-db', does: 'who sees what, until Ctrl-C' },
    {
      command: 'watch webscaler-db -s 10.244.0.3 -s 10.244.1.7 --until secondary-db.example.com --for 60s',
      does: 'wait until both pods of the cluster DNS answer with the new name',
    },
  ],
  async run({ arguments: [service = ''], options, output, environment, signal }) {
    const { watchService } = await import('@externalname/doctor');
    const { until, interval: intervalMillis, nameservers } = options;
    const live = new Live(output);
    const timeIsUp = new AbortController();
    const timer = options.for === undefined ? undefined : setTimeout(() => timeIsUp.abort(), options.for);
    try {
      await watchService({
        service,
        ...(await chosenCluster(options, environment)),
        nameservers: nameservers.length > 0 ? nameservers : undefined,
        ...{ until, intervalMillis },
        onSight: (sight, differs, sources) => {
          if (differs && !output.isText) output.line(JSON.stringify(sight));
          if (output.isText) writeSight(output, live, { sight, differs, sources, at: new Date() });
        },
        signal: AbortSignal.any([signal, timeIsUp.signal]),
      });
      return exitCodes.ok;
    } catch (error) {
      if (!timeIsUp.signal.aborted || signal.aborted) throw error;
      return until === undefined ? exitCodes.ok : exitCodes.failed;
    } finally {
      clearTimeout(timer);
      live.end();
    }
  },
});

/** What is shown of a look: a line if it differs, and below it a row for each source. */
export interface ShownSight {
  readonly sight: Sight;
  readonly differs: boolean;
  readonly sources: readonly SightedSource[];
  readonly at: Date;
}

/** Writes the line of a sight that differs, wrapped on a terminal, above the rows that are kept. */
export function writeSight(output: Output, live: Live, { sight, differs, sources, at }: ShownSight): void {
  const width = Math.max(...sources.map(({ source }) => source.length));
  if (differs) {
    const { source, target, addresses = [], stale = false, error = '' } = sight;
    const doubt = stale ? 'not confirmed at the moment' : '';
    const facts = [nameOf(sight), addresses.join(', '), doubt, target === undefined ? '' : error];
    const first = `${sight.at.toISOString().slice(11, 23)}  ${source.padEnd(width)}  `;
    const tone = stale || error !== '' ? 'bad' : 'plain';
    live.line(() => output.paragraph(facts.filter(Boolean).join('  '), { indent: first.length, first, tone }));
  }
  live.rows(sources.map((source) => `${source.source.padEnd(width)}  ${lookOf(source, at)}`));
}

/** How a source looks at the moment, and for how long it has. */
function lookOf({ sight, since }: SightedSource, at: Date): string {
  if (sight === undefined || since === undefined) return 'nothing yet';
  const seconds = Math.max(0, Math.round((at.getTime() - since.getTime()) / 1_000));
  const { elapsedMillis, ttlSeconds = '?' } = sight;
  const answer = elapsedMillis === undefined ? '' : `  TTL ${ttlSeconds} s, ${Math.round(elapsedMillis)} ms`;
  return `${nameOf(sight)}  for ${seconds} s${answer}`;
}

function nameOf({ target, error }: Sight): string {
  return target ?? error ?? 'nothing';
}
