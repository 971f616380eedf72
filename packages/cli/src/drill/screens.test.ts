import { describe, expect, it } from 'vitest';
import { type Script, scriptedEvents, scriptedResult } from '../../../drill/test/scripted-drill.ts';
import { recordedOutput, shown } from '../../test/screen.ts';
import { Live } from '../live.ts';
import { statusRow, writeEvent, writeResult } from './screen.ts';

// What the command shows, from a script instead of servers. `vitest -u` writes the screens again.
async function played(
  columns: number | undefined,
  script: Script = {},
  until = Number.POSITIVE_INFINITY,
): Promise<string> {
  const { output, text } = recordedOutput(columns);
  const live = new Live(output);
  const { report, status } = scriptedResult(script);
  for (const event of scriptedEvents.filter(({ at }) => at <= until)) {
    if (event.at > 2) live.rows([statusRow(status(event.at))]);
    writeEvent(output, live, event);
  }
  if (until < Number.POSITIVE_INFINITY) return text();
  live.end();
  writeResult(output, report);
  return text();
}

describe('the screens of drill', { timeout: 20_000 }, () => {
  it.each([80, 120])('in a terminal of %i columns', async (columns) => {
    const { screen, broken } = await shown(await played(columns), columns);
    await expect(screen).toMatchFileSnapshot(`screens/drill-${columns}.txt`);
    expect(broken).toEqual([]);
  });

  it('in a pipe, where each event is one line', async () => {
    await expect(await played(undefined)).toMatchFileSnapshot('screens/drill-pipe.txt');
  });

  it('keep a line below, that says how the workers do', async () => {
    const { screen } = await shown(await played(80, {}, 9.54), 80);
    await expect(screen).toMatchFileSnapshot('screens/drill-80-meanwhile.txt');
  });

  it('say what is over its threshold', async () => {
    const { screen } = await shown(await played(80, { stuck: true }), 80);
    await expect(screen).toMatchFileSnapshot('screens/drill-80-failed.txt');
  });

  it.each([60, 70, 100, 200])('fit a terminal of %i columns', async (columns) => {
    expect((await shown(await played(columns), columns)).broken).toEqual([]);
  });
});
