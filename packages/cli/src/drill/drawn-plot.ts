import type { Testing } from '../testing-package.ts';
import type { Place } from './place.ts';
import type { Rehearsal } from './rehearsal.ts';
import type { DrillPlot } from './result.ts';
import { shortName } from './screen.ts';
import type { Told } from './telling.ts';

/** The plot of a rehearsal: as numbers, and drawn with characters. */
export function drawnPlot(
  testing: Pick<Testing, 'writeRates' | 'plotWrites'>,
  { ledger, writingFrom, stoppedAt }: Rehearsal,
  { servers }: Pick<Place, 'servers'>,
  told: Pick<Told, 'marks' | 'seconds'>,
  width: number,
): { readonly plot: DrillPlot; readonly drawn: readonly string[] } {
  const seconds = (at: number) => told.seconds(at);
  const series = [
    ...servers.map(({ host, address }) => ({
      name: host,
      at: ledger.acknowledged.filter((write) => write.address === address).map(({ settledAt }) => seconds(settledAt)),
    })),
    { name: 'failed', at: ledger.failed.map(({ settledAt }) => seconds(settledAt)) },
  ];
  const [from, to] = [seconds(writingFrom), seconds(stoppedAt)];
  const { rates, ...bins } = testing.writeRates({ series: series.map(({ at }) => at), from, to, columns: plotColumns });
  const named = series.map(({ name, at }) => ({ name: shortName(name), at }));
  const drawn = testing.plotWrites({
    groups: [{ title: '', series: named }],
    marks: told.marks,
    from,
    to,
    width: Math.max(60, width - 1),
  });
  return { plot: { ...bins, series: series.map(({ name }, index) => ({ name, rates: rates[index] ?? [] })) }, drawn };
}

/** Enough for a wide page; a bar is still a pixel wide on a phone. */
const plotColumns = 240;
