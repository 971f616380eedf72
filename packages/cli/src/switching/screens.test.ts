import { Readable } from 'node:stream';
import {
  SwitchFailedError,
  type SwitchProgress,
  SwitchRefusedError,
  type SwitchReport,
} from '@externalname/kubernetes';
import { describe, expect, it } from 'vitest';
import { recordedOutput, shown } from '../../test/screen.ts';
import type { CommandContext } from '../command.ts';
import { Interrupted } from '../exit-codes.ts';
import type { switchingOptions } from './options.ts';
import { type Perform, perform } from './perform.ts';
import { writeRefusal } from './screen.ts';

// What the command shows, with a switch that was not made: the same steps and probes each time. `vitest -u` writes the screens again.
interface Script {
  readonly columns?: number | undefined;
  readonly yes?: boolean;
  readonly dryRun?: boolean;
  /** What is typed. Left out: there is no terminal. */
  readonly answer?: string | undefined;
  readonly format?: string;
  readonly ending?: 'refused' | 'failed' | 'interrupted' | 'interrupted-after';
}

async function played(
  script: Script,
): Promise<{ readonly code: number; readonly text: string; readonly ran: readonly boolean[] }> {
  const { columns, yes = false, dryRun = false, answer, format, ending } = script;
  const { output, text } = recordedOutput(columns, format);
  const ran: boolean[] = [];
  const interruption = new AbortController();
  const run: Perform = async (changes) => {
    ran.push(changes.dryRun === true);
    const steps = ending === 'refused' ? refusedSteps : changes.dryRun ? [...drySteps, ...skippedSteps] : allSteps;
    for (const step of steps) changes.onProgress?.(step);
    if (ending === 'interrupted') interruption.abort(new Interrupted('SIGINT'));
    if (ending === 'interrupted') throw interruption.signal.reason;
    if (ending === 'interrupted-after') {
      interruption.abort(new Interrupted('SIGINT'));
      throw new SwitchFailedError({ ...switched, steps: switched.steps }, { cause: interruption.signal.reason });
    }
    if (ending === 'refused') throw new SwitchRefusedError({ ...report, result: 'not-switched' }, objections);
    if (ending === 'failed') {
      const failed = switched.steps.map((step) => (step.step === 'dns' ? { ...step, state: 'failed' as const } : step));
      throw new SwitchFailedError(
        { ...switched, steps: failed },
        { cause: new Error('waiting for DNS took longer than 90000 ms') },
      );
    }
    return changes.dryRun ? report : switched;
  };
  const stdin =
    answer === undefined ? Readable.from([]) : Object.assign(Readable.from([`${answer}\n`]), { isTTY: true });
  const context = {
    arguments: ['webscaler-db'],
    options: { yes, dryRun },
    output,
    stdin,
    environment: {},
    programName: 'externalname',
    signal: interruption.signal,
  } as unknown as CommandContext<typeof switchingOptions>;
  const code = await perform(context, 'Switch webscaler-db to secondary-db.example.com', run);
  return { code, text: text(), ran };
}

const probes: SwitchReport['probes'] = [
  { probe: 'resolves', host: 'secondary-db.example.com', ok: true, detail: 'resolves to 192.0.2.12', elapsedMillis: 3 },
  {
    probe: 'tcp 5432',
    host: 'secondary-db.example.com',
    ok: true,
    detail: 'port 5432 of 192.0.2.12 accepts connections',
    elapsedMillis: 5,
  },
  {
    probe: 'tls 5432',
    host: 'secondary-db.example.com',
    ok: true,
    detail: 'certificate verified for secondary-db.example.com (DNS:secondary-db.example.com)',
    elapsedMillis: 21,
  },
  {
    probe: 'postgres',
    host: 'secondary-db.example.com',
    ok: true,
    detail: 'answers: a primary that takes writes (timeline 2, system 7301)',
    elapsedMillis: 43,
  },
  {
    probe: 'postgres',
    host: 'primary-db.example.com',
    ok: false,
    detail: 'connect ECONNREFUSED 192.0.2.11:5432',
    elapsedMillis: 2,
  },
];
const step = (name: SwitchProgress['step'], detail: string, elapsedMillis: number): SwitchProgress => ({
  step: name,
  state: 'done',
  detail,
  elapsedMillis,
  probes: name === 'probe' ? probes : [],
});
const drySteps: readonly SwitchProgress[] = [
  step('read', 'points to primary-db.example.com', 12),
  step('probe', '', 44),
  step('dry-run', 'the API server would accept it', 9),
];
const skippedSteps: readonly SwitchProgress[] = (['patch', 'event', 'watch', 'dns'] as const).map((name) => ({
  ...step(name, 'a dry run changes nothing', 0),
  state: 'skipped',
}));
const allSteps: readonly SwitchProgress[] = [
  ...drySteps,
  step('patch', 'primary-db.example.com -> secondary-db.example.com', 14),
  step('event', 'TargetSwitched', 8),
  step('watch', 'seen 6 ms after the patch', 7),
  { ...step('dns', '10.96.0.10 after 4120 ms', 4_120), state: 'done' },
];
const report: SwitchReport = {
  service: 'webscaler-db.default.svc.cluster.local',
  cluster: { server: 'https://127.0.0.1:6443', context: 'staging', name: 'staging-1' },
  from: 'primary-db.example.com',
  to: 'secondary-db.example.com',
  result: 'dry-run',
  id: '3f0c',
  by: 'kubernetes-admin',
  at: '2026-11-29T11:20:00.000Z',
  reason: 'region down',
  steps: allSteps.map(({ probes: _, state, ...each }) => ({ ...each, state: state === 'running' ? 'done' : state })),
  probes,
  accepted: [],
  warnings: [
    'Argo CD (field manager argocd-controller) manages this Service and will put primary-db.example.com back: change the name in its source too, or have it ignore spec.externalName',
  ],
  dns: [],
};
const switched: SwitchReport = { ...report, result: 'switched' };
const objections: SwitchRefusedError['objections'] = [
  { kind: 'not-writable', message: 'the new target is a standby and refuses writes: promote it first' },
  { kind: 'split-brain', message: 'the old target still accepts writes: stop it, or make it read-only, first' },
];
const refusedSteps = [
  drySteps[0],
  {
    ...step('probe', '', 44),
    probes: probes.map((probe) =>
      probe.probe === 'postgres'
        ? { ...probe, ok: true, detail: 'answers: a standby (timeline 1, system 7301, replay 0.2 s behind)' }
        : probe,
    ),
  },
].filter((each) => each !== undefined);

describe('the screens of switch', { timeout: 20_000 }, () => {
  it.each([80, 120])('in a terminal of %i columns', async (columns) => {
    const { text, code, ran } = await played({ columns, answer: 'y' });
    const { screen, broken } = await shown(text, columns);
    await expect(screen).toMatchFileSnapshot(`screens/switch-${columns}.txt`);
    expect({ broken, code, ran }).toEqual({ broken: [], code: 0, ran: [true, false] });
  });

  it('in a pipe, with --yes', async () => {
    const { text, code, ran } = await played({ yes: true });
    await expect(text).toMatchFileSnapshot('screens/switch-pipe.txt');
    expect({ code, ran }).toEqual({ code: 0, ran: [false] });
  });

  it('of a refusal', async () => {
    const { text, code } = await played({ columns: 80, answer: 'y', ending: 'refused' });
    await expect((await shown(text, 80)).screen).toMatchFileSnapshot('screens/switch-80-refused.txt');
    expect(code).toBe(3);
  });

  it('of a refusal name each objection to accept once, if several probes failed', () => {
    const { output, text } = recordedOutput(80);
    const failed = ['resolves', 'tcp 5432'].map((probe) => ({
      kind: 'probe-failed' as const,
      message: `${probe} failed`,
    }));
    writeRefusal(output, new SwitchRefusedError({ ...report, result: 'not-switched' }, failed));
    expect(text()).toMatch(/--accept probe-failed\s*$/m);
  });

  it('of a failure after the patch', async () => {
    const { text, code } = await played({ columns: 80, yes: true, ending: 'failed' });
    await expect((await shown(text, 80)).screen).toMatchFileSnapshot('screens/switch-80-failed.txt');
    expect(code).toBe(5);
  });
});

describe('a switch', () => {
  it('is not made without a yes', async () => {
    for (const answer of ['', 'n', 'no', 'yess']) {
      const { text, code, ran } = await played({ columns: 80, answer });
      expect(text).toContain('Not confirmed: nothing was changed.');
      expect({ code, ran }).toEqual({ code: 3, ran: [true] });
    }
  });

  it('is refused before anything is done where there is no terminal to ask at', async () => {
    await expect(played({})).rejects.toMatchObject({ code: 'ERR_EXTERNALNAME_INVALID_ARGUMENT', argument: '--yes' });
  });

  it('does not ask in a dry run, which needs no terminal', async () => {
    const { text, code, ran } = await played({ dryRun: true });
    expect(text).toContain('A dry run: nothing was changed.');
    expect({ code, ran }).toEqual({ code: 0, ran: [true] });
  });

  it('says after Ctrl-C that nothing was changed, or that it was', async () => {
    const before = await played({ yes: true, ending: 'interrupted' });
    expect(before.text).toContain('Interrupted: nothing was changed.');
    const after = await played({ yes: true, ending: 'interrupted-after' });
    expect(after.text).toContain('The Service points to secondary-db.example.com now.');
    expect([before.code, after.code]).toEqual([130, 130]);
  });

  it('writes one object in JSON, refusals included', async () => {
    const done = await played({ yes: true, format: 'json' });
    expect(JSON.parse(done.text)).toMatchObject({ result: 'switched', to: 'secondary-db.example.com' });
    const refused = await played({ yes: true, format: 'json', ending: 'refused' });
    expect(JSON.parse(refused.text)).toMatchObject({
      result: 'not-switched',
      error: {
        code: 'ERR_EXTERNALNAME_SWITCH_REFUSED',
        objections: [{ kind: 'not-writable' }, { kind: 'split-brain' }],
      },
    });
  });
});
