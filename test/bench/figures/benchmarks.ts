/** What a benchmark prints with `--json`: numbers by name, nested as it likes. `null` is what never came. */
export interface Report {
  readonly [name: string]: number | null | string | boolean | undefined | Report;
}

/** A benchmark whose figures stand in the documentation. */
export interface Benchmark {
  readonly name: string;
  /** Its script in package.json. */
  readonly script: string;
  /** What makes a run short enough: five runs of all benchmarks stay below 35 minutes. */
  readonly parameters: readonly string[];
  /** What makes a run as short as it gets, to see that it runs. Its figures say nothing. */
  readonly quick?: readonly string[];
  /** The figures in the last line that it prints with `--json`. Without it, they are its `report`. */
  readonly reportOf?: (printed: Record<string, unknown>) => Report;
}

export const benchmarks: readonly Benchmark[] = [
  { name: 'dns', script: 'bench:dns', parameters: [], quick: ['--quick'] },
  { name: 'validation', script: 'bench:validation', parameters: ['--answers=5000'], quick: ['--answers=50'] },
  {
    name: 'throughput',
    script: 'bench:pg',
    parameters: ['--slices=5', '--millis=200'],
    quick: ['--slices=1', '--millis=20'],
  },
  { name: 'http', script: 'bench:http', parameters: ['--blocks=20'], quick: ['--blocks=2', '--requests=50'] },
  {
    name: 'pipelining',
    script: 'bench:pipelining',
    parameters: ['--only=point read', '--rounds=3', '--millis=200'],
    quick: ['--only=point read', '--rounds=1', '--millis=20'],
  },
  {
    name: 'metrics',
    script: 'bench:metrics',
    parameters: ['--trials=20', '--rounds=2', '--millis=150', '--parts=all', '--callers=10,64'],
    quick: ['--trials=1', '--rounds=1', '--millis=20', '--parts=all', '--callers=10,64'],
  },
  { name: 'scram', script: 'bench:scram', parameters: ['--rounds=15'], quick: ['--rounds=1'] },
  { name: 'start', script: 'bench:start', parameters: ['--rounds=7'], quick: ['--rounds=1'] },
  {
    name: 'memory',
    script: 'bench:memory',
    parameters: ['--trials=1'],
    quick: ['--trials=1', '--connections=20'],
  },
  { name: 'demo', script: 'demo', parameters: [], reportOf: (printed) => printed as Report },
  {
    name: 'switches',
    script: 'bench:switches',
    parameters: ['--switches=50'],
    quick: ['--switches=2'],
    reportOf: switchesReport,
  },
  {
    name: 'site',
    script: 'bench:site',
    parameters: ['--switches=4', '--ready=20'],
    quick: ['--switches=1', '--ready=20'],
  },
  { name: 'faults', script: 'bench:faults', parameters: [], quick: ['--row=kill -9'], reportOf: faultsReport },
];

function switchesReport(printed: Record<string, unknown>): Report {
  const { switches, done, failed, left } = printed as { left: unknown[] } & Record<string, number>;
  return { switches, done, failed, left: left.length };
}

interface FaultResult {
  readonly row: string;
  readonly error?: string;
  readonly clients: Record<
    string,
    {
      readonly outcomes: { readonly notExecuted: number; readonly unknown: number };
      readonly firstWrite?: number;
      readonly allWriting?: number;
    } & Record<'acknowledged' | 'lost' | 'twice' | 'hung' | 'failed', number>
  >;
}

function faultsReport(printed: Record<string, unknown>): Report {
  const rows: Record<string, Report> = {};
  for (const { row, error, clients } of printed['results'] as FaultResult[]) {
    if (error !== undefined) throw new Error(`the row "${row}" could not be run: ${error}`);
    rows[row] = Object.fromEntries(
      Object.entries(clients).map(([client, account]) => {
        const { acknowledged, lost, twice, hung, failed, outcomes } = account;
        const { notExecuted, unknown } = outcomes;
        const [firstWrite, allWriting] = [seconds(account.firstWrite), seconds(account.allWriting)];
        return [client, { acknowledged, lost, twice, hung, failed, notExecuted, unknown, firstWrite, allWriting }];
      }),
    );
  }
  return rows;
}

/** JSON leaves out what is undefined, and these are times that never came. */
function seconds(value: number | undefined): number | null {
  return value === undefined ? null : Math.round(value * 100) / 100;
}
