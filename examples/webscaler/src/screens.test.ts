import { Writable } from 'node:stream';
import { type FailedWrite, type SettledWrite, WriteLedger } from '@externalname/testing';
import { Terminal } from '@xterm/headless';
import { describe, expect, it } from 'vitest';
import { close } from './closing.ts';
import type { Crew } from './crew.ts';
import { crewsOf } from './crews.ts';
import type { CrewResult, ScenarioResult } from './scenario.ts';
import { statusRows } from './status-line.ts';
import { type ShownServer, Story } from './story.ts';
import { Timeline, type TimelineStream } from './timeline.ts';
import { judgeStage } from './verdict.ts';

// What the demo shows, from a script instead of servers: the same sentences, ledgers, figures and plots, at moments that never change.
// `vitest -u` writes the screens again.
describe('the screens of the demo', { timeout: 20_000 }, () => {
  const kinds = [
    { name: 'demo', plainPg: false, push: false },
    { name: 'demo-push', plainPg: false, push: true },
    { name: 'demo-plain-pg', plainPg: true, push: false },
  ];
  const places = [{ columns: 80 }, { columns: 120 }, { columns: undefined }];

  it.each(kinds.flatMap((kind) => places.map((place) => ({ ...kind, ...place }))))(
    '$name, with a width of $columns',
    async ({ name, columns, ...kind }) => {
      const text = played(columns, kind).output;
      const screen = columns === undefined ? text : (await shown(text, columns)).lines.join('\n');
      await expect(screen).toMatchFileSnapshot(`screens/${name}-${columns ?? 'pipe'}.txt`);
    },
  );

  it('keeps one line of status for each crew below all that was told', async () => {
    const { output } = played(80, { plainPg: true, push: false, until: 8_700 });
    await expect((await shown(output, 80)).lines.join('\n')).toMatchFileSnapshot(
      'screens/demo-plain-pg-80-meanwhile.txt',
    );
  });

  it('says why the verdict does not hold', async () => {
    const { output } = played(80, { plainPg: false, push: false, lost: 3 });
    await expect((await shown(output, 80)).lines.join('\n')).toMatchFileSnapshot('screens/demo-80-not-held.txt');
  });

  it('says that it was interrupted, and nothing that comes after', async () => {
    const { output } = played(80, { plainPg: false, push: false, interruptedAt: 8_700 });
    await expect((await shown(output, 80)).lines.join('\n')).toMatchFileSnapshot('screens/demo-80-interrupted.txt');
  });
});

describe('whatever the width of the terminal', { timeout: 20_000 }, () => {
  it.each([60, 80, 100, 120, 200])('no line is broken by a terminal of %i columns', async (columns) => {
    const { output } = played(columns, { plainPg: true, push: true });
    expect((await shown(output, columns)).broken).toEqual([]);
  });

  it('no line is broken by a narrow one without plain pools either', async () => {
    const { output } = played(60, { plainPg: false, push: true });
    expect((await shown(output, 60)).broken).toEqual([]);
  });

  it('times only grow from line to line, although one process reports late', () => {
    const { output } = played(undefined, { plainPg: true, push: false });
    const times = [...output.matchAll(/^ *(\d+\.\d\d) s {2}\S/gm)].map(([, seconds]) => Number(seconds));
    expect(times.length).toBeGreaterThan(20);
    expect(times).toEqual([...times].sort((a, b) => a - b));
    expect(output).not.toContain('(at ');
  });
});

interface Played {
  readonly plainPg: boolean;
  readonly push: boolean;
  /** Leaves off there, with everything still on the screen: milliseconds. */
  readonly until?: number;
  readonly interruptedAt?: number;
  /** So many acknowledged rows are not there in the end. */
  readonly lost?: number;
}

/** Plays the script, in steps of ten milliseconds, and gives everything that was written to the stream. */
function played(
  columns: number | undefined,
  { plainPg, push, until, interruptedAt, lost = 0 }: Played,
): { output: string } {
  let output = '';
  const sink = new Writable({
    write(chunk, _, done) {
      output += String(chunk);
      done();
    },
  });
  const stream: TimelineStream = Object.assign(sink, columns === undefined ? {} : { isTTY: true, columns });
  let time = 0;
  const clock = () => time;
  const timeline = new Timeline(stream, { NO_COLOR: '1' }, clock);
  const story = new Story(timeline, { plainPg, push, site: false, ttlSeconds: 5 });
  const end = plainPg ? 26_300 : 18_300;
  const crews = crewsOf(plainPg).map((settings) => new ScriptedCrew(settings, story, end, push));
  const result = () => resultOf(crews, story, push, lost);
  const steps = [...script(story, crews, push, end)];

  for (; time <= end + 500; time += 10) {
    if (until !== undefined && time > until) return { output };
    if (time === interruptedAt) {
      timeline.end({
        who: 'operator',
        text: 'interrupted: servers and workers are taken down',
        tone: 'bad',
        part: true,
      });
    }
    for (const step of steps.filter(({ at }) => at === time)) step.play();
    if (time >= writing.from && time <= end && time % 100 === 0) {
      // A process may be late, and one is: its reports come 200 ms after the others'.
      for (const crew of crews) crew.report(time);
      timeline.tick();
      story.status(statusRows(crews, servers, time));
    }
    if (time % 50 === 0) timeline.tick();
  }
  timeline.flush();
  if (interruptedAt === undefined) close(timeline, result());
  return { output };
}

const primary = server('primary-db', '127.64.0.1', 4_001);
const secondary = server('secondary-db', '127.64.0.2', 4_002);
const servers = [primary, secondary];

function server(name: string, address: string, processId: number): ShownServer {
  return { hostName: `${name}.example.com`, address, port: 20_432, processId };
}

const writing = { from: 2_000 };
const crash = { at: 8_000, patchedAt: 9_300 };
const planned = { from: 13_500, at: 15_000, patchedAt: 15_300 };

/** What the scenario tells, and when. */
function* script(story: Story, crews: readonly ScriptedCrew[], push: boolean, end: number) {
  const at = (moment: number, play: () => void) => ({ at: moment, play });
  const [ours] = crews;
  yield at(0, () => story.opens());
  yield at(900, () =>
    story.started(primary, secondary, { nameserver: '127.0.0.1:41053', api: 'https://127.0.0.1:46443' }),
  );
  yield at(900, () => story.connects(crews.length));
  yield at(2_000, () => {
    if (ours !== undefined) story.beginsWriting(ours.settings);
    for (const crew of crews) crew.write();
  });
  yield at(2_060, () => story.allWrite(primary, 2_060));
  yield at(8_000, () => story.crash(primary, 18, 8_000));
  yield at(8_100, () => story.isDead(primary, 'ECONNREFUSED'));
  yield at(9_100, () => story.promotes(secondary));
  yield at(9_300, () => {
    story.takesWrites(secondary);
    story.patches(secondary, 9_300);
  });
  yield at(9_720, () => story.allWrite(secondary, 9_690, { word: 'recovered', patchedAt: 9_300 }));
  if (push) yield at(11_400, () => story.pollSaw(2_100, 9_300));
  yield at(12_200, () => story.rebuilds(primary, secondary));
  yield at(13_400, () => story.isInStep({ ...primary, processId: 4_301 }, secondary));
  yield at(15_000, () => story.fences(secondary, 15_000));
  yield at(15_100, () => story.isQuiet(secondary, primary, '0/18616D0'));
  yield at(15_150, () => story.promotes(primary));
  yield at(15_300, () => {
    story.takesWrites(primary, secondary);
    story.patches(primary, 15_300);
  });
  yield at(15_830, () => story.allWrite(primary, 15_810, { word: 'done', patchedAt: 15_300 }));
  if (push) yield at(18_100, () => story.pollSaw(2_800, 15_300));
  yield at(end - 10, () => {
    for (const crew of crews) story.hasMoved(crew.settings, crew.left(end - 10), secondary, primary);
  });
  yield at(end, () => {
    story.stops();
    for (const crew of crews) crew.close();
  });
}

/** A crew whose writes are made by rule. */
class ScriptedCrew implements Pick<Crew, 'settings' | 'ledger'> {
  readonly settings: CrewResult['settings'];
  readonly ledger = new WriteLedger();
  readonly #story: Story;
  readonly #told = new Set<string>();
  readonly #writes: readonly SettledWrite[];
  readonly #notices: { readonly at: number; readonly text: string }[];
  #source: ReturnType<Story['source']> | undefined;
  #reported = 0;

  constructor(settings: CrewResult['settings'], story: Story, end: number, push: boolean) {
    this.settings = settings;
    this.#story = story;
    this.#writes = writesOf(settings, end);
    this.#notices = settings.client === 'externalname' ? ourNotices(push ? 'kubernetes' : 'dns') : [];
  }

  write(): void {
    this.#source = this.#story.source();
  }

  report(at: number): void {
    // The checkouts' process is always late: what it saw is told in its place all the same.
    const until = this.settings.client === 'plain-checkout' ? at - 200 : at;
    const settled: SettledWrite[] = [];
    for (let write = this.#writes[this.#reported]; write !== undefined && write.settledAt <= until; ) {
      settled.push(write);
      write = this.#writes[++this.#reported];
    }
    // No write of the script takes longer than two seconds.
    const next = this.#writes.slice(this.#reported, this.#reported + 1_000);
    const underWay = next.filter(({ beganAt }) => beganAt <= until);
    this.ledger.enter({ settled, underWay }, at);
    for (const write of settled) {
      if (!('failure' in write) || this.#told.has(write.failure.code)) continue;
      this.#told.add(write.failure.code);
      this.#story.writeFails(this.settings, write.failure, write.settledAt);
    }
    for (const notice of this.#notices.splice(0, this.#notices.filter((each) => each.at <= until).length)) {
      this.#story.poolSays(this.settings, notice.text, notice.at);
    }
    this.#source?.heardUntil(until);
  }

  left(at: number) {
    const stays = this.settings.client === 'plain-checkout';
    return {
      sessions: stays ? 10 : 0,
      writes: this.ledger.firstAt(primary.address, planned.patchedAt) !== undefined,
      afterMillis: at - planned.patchedAt,
    };
  }

  /** What was under way settles, as it does when workers are stopped. */
  close(): void {
    this.ledger.enter({ settled: this.#writes.slice(this.#reported), underWay: [] }, 0);
    this.#reported = this.#writes.length;
    this.#source?.close();
  }
}

const ourNotices = (source: string) => [
  { at: 9_450, text: `the pool learns of it (by ${source}) and moves to secondary-db.example.com` },
  { at: 9_451, text: 'every connection of the pool is at secondary-db.example.com, 1 ms later' },
  { at: 15_620, text: `the pool learns of it (by ${source}) and moves to primary-db.example.com` },
  { at: 15_620, text: 'every connection of the pool is at primary-db.example.com, 0 ms later' },
];

/** Spans in which each worker writes to a server, or fails. */
interface Span {
  readonly from: number;
  readonly to: number;
  readonly address?: string;
  readonly failure?: FailedWrite['failure'];
}

const failure = (code: string, message: string, outcome: 'unknown' | 'unsaid'): FailedWrite['failure'] => ({
  code,
  message,
  outcome,
});
const refused = failure('ECONNREFUSED', 'connect ECONNREFUSED 127.64.0.1:20432', 'unsaid');
const readOnly = failure('25006', 'cannot execute INSERT in a read-only transaction', 'unsaid');
const wrongName = (name: string) =>
  failure(
    'ERR_TLS_CERT_ALTNAME_INVALID',
    `Hostname/IP does not match certificate's altnames: Host: webscaler-db.default.svc.cluster.local. is not in the cert's altnames: DNS:${name}.example.com`,
    'unsaid',
  );

const spans: Readonly<Record<string, readonly Span[]>> = {
  externalname: [
    { from: 2_030, to: 8_020, address: primary.address },
    { from: 9_500, to: 15_020, address: secondary.address },
    { from: 15_640, to: 30_000, address: primary.address },
  ],
  'plain-verified': [
    { from: 2_040, to: 8_020, failure: wrongName('primary-db') },
    { from: 8_300, to: 9_300, failure: refused },
    { from: 9_600, to: 15_200, failure: wrongName('secondary-db') },
    { from: 15_400, to: 30_000, failure: wrongName('primary-db') },
  ],
  'plain-query': [
    { from: 2_040, to: 8_020, address: primary.address },
    { from: 8_040, to: 9_310, failure: refused },
    { from: 9_400, to: 15_020, address: secondary.address },
    { from: 15_030, to: 15_300, failure: readOnly },
    { from: 15_380, to: 30_000, address: primary.address },
  ],
  'plain-checkout': [
    { from: 2_050, to: 8_020, address: primary.address },
    { from: 8_050, to: 9_310, failure: refused },
    { from: 9_440, to: 15_020, address: secondary.address },
    { from: 15_040, to: 30_000, failure: readOnly },
  ],
};

function writesOf({ client, workers, pauseMillis }: CrewResult['settings'], end: number): readonly SettledWrite[] {
  const period = 2 * pauseMillis + 7;
  let id = 0;
  const writes: SettledWrite[] = [];
  for (const { from, to, address = '', failure } of spans[client] ?? []) {
    for (let worker = 0; worker < workers; worker++) {
      for (let at = from + worker * 2; at < Math.min(to, end); at += period) {
        const write = { id: ++id, worker, beganAt: at - 5, settledAt: at };
        writes.push(failure === undefined ? { ...write, address } : { ...write, failure });
      }
    }
    if (client !== 'externalname' || to !== 8_020) continue;
    // One statement a connection is in flight when the server dies; every other worker waits.
    const cut = failure ?? { code: 'ECONNRESET', message: 'read ECONNRESET', outcome: 'unknown' as const };
    for (let worker = 0; worker < 10; worker++) {
      writes.push({ id: ++id, worker, beganAt: 8_015, settledAt: 8_060 + worker, failure: cut });
    }
    for (let worker = 10; worker < 20; worker++) {
      writes.push({ id: ++id, worker, beganAt: 8_030, settledAt: 9_600 + worker, address: secondary.address });
    }
  }
  return writes.sort((a, b) => a.settledAt - b.settledAt);
}

function resultOf(crews: readonly ScriptedCrew[], story: Story, push: boolean, lost: number): ScenarioResult {
  const judged = crews.map((crew): CrewResult => {
    const { settings, ledger } = crew;
    const common = {
      ledger,
      workers: settings.workers,
      rows: new Map(ledger.acknowledged.slice(lost).map(({ id }) => [id, 1])),
    };
    const inCrash = { ...common, from: 0, to: planned.from, patchedAt: crash.patchedAt, address: secondary.address };
    const inPlanned = {
      ...common,
      from: planned.from,
      to: 60_000,
      patchedAt: planned.patchedAt,
      address: primary.address,
    };
    return {
      settings,
      ledger,
      crash: judgeStage({ ...inCrash, failuresAllowed: settings.connections }),
      planned: judgeStage({ ...inPlanned, failuresAllowed: 0 }),
      left: crew.left(26_300),
    };
  });
  return {
    crews: judged,
    polled: push ? { crash: 2_100, planned: 2_800 } : undefined,
    moments: story.moments,
    servers,
    leftServer: secondary.hostName,
  };
}

/** What a terminal shows of an output when all of it can be scrolled to, and the lines that it had to break. */
async function shown(
  output: string,
  columns: number,
): Promise<{ lines: readonly string[]; broken: readonly string[] }> {
  const terminal = new Terminal({
    cols: columns,
    rows: 40,
    scrollback: 10_000,
    convertEol: true,
    allowProposedApi: true,
  });
  await new Promise<void>((resolve) => terminal.write(output, resolve));
  const buffer = terminal.buffer.active;
  const rows = Array.from({ length: buffer.length }, (_, index) => buffer.getLine(index));
  const lines = rows.map((row) => row?.translateToString(true) ?? '');
  const broken = lines.filter((_, index) => rows[index]?.isWrapped === true);
  terminal.dispose();
  while (lines.at(-1) === '') lines.pop();
  return { lines: [...lines, ''], broken };
}
