import { plotWrites, writeRates } from '@externalname/testing';
import type { Place } from '../places/place.ts';
import type { Rehearsal } from '../rehearsal/rehearsal.ts';
import type { Told } from '../rehearsal/telling.ts';
import type { DrillPlot } from './result.ts';

/** The plot of a rehearsal: as numbers, and drawn with characters. */
export function plotOf(
  { ledger, writingFrom, stoppedAt }: Rehearsal,
  { servers }: Pick<Place, 'servers'>,
  told: Pick<Told, 'marks' | 'seconds'>,
): { readonly plot: DrillPlot; readonly draw: (width: number) => readonly string[] } {
  const seconds = (at: number) => told.seconds(at);
  const series = [
    ...servers.map(({ host, address }) => ({
      name: host,
      at: ledger.acknowledged.filter((write) => write.address === address).map(({ settledAt }) => seconds(settledAt)),
    })),
    { name: 'failed', at: ledger.failed.map(({ settledAt }) => seconds(settledAt)) },
  ];
  const [from, to] = [seconds(writingFrom), seconds(stoppedAt)];
  const { rates, ...bins } = writeRates({ series: series.map(({ at }) => at), from, to, columns: plotColumns });
  const named = series.map(({ name, at }) => ({ name: name.split('.')[0] ?? name, at }));
  return {
    plot: { ...bins, series: series.map(({ name }, index) => ({ name, rates: rates[index] ?? [] })) },
    draw: (width) =>
      plotWrites({
        groups: [{ title: '', series: named }],
        marks: told.marks,
        from,
        to,
        width: Math.max(60, width - 1),
      }),
  };
}

/** Enough for a wide page; a bar is still a pixel wide on a phone. */
const plotColumns = 240;
