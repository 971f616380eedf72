import { writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  type PostgresState,
  type Probe,
  rollback,
  SwitchFailedError,
  type SwitchOptions,
  SwitchRefusedError,
  type SwitchTargetOptions,
  switchAnnotations,
  switchTarget,
} from '../src/index.ts';
import { forbidden, ScriptedApi, status } from './scripted-api.ts';

let api: ScriptedApi;

beforeEach(async () => {
  api = await new ScriptedApi().start();
  api.put('primary-db.example.com');
});

afterEach(() => api.stop());

const allowedTargets = ['primary-db.example.com', 'secondary-db.example.com', 'tertiary-db.example.com'];

function optionsOfRollback(changes: Partial<SwitchOptions> = {}): SwitchOptions {
  const { to: _, ...others } = options(changes);
  return others;
}

function options(changes: Partial<SwitchTargetOptions> = {}): SwitchTargetOptions {
  return {
    service: 'webscaler-db',
    clusterDomain: 'cluster.local',
    to: 'secondary-db.example.com',
    allowedTargets,
    kubeConfig: api.kubeConfig(),
    dnsServers: false,
    ...changes,
  };
}

/** The error that a switch ends with. */
async function failure(promise: Promise<unknown>): Promise<SwitchFailedError & SwitchRefusedError> {
  return promise.then(
    () => {
      throw new Error('it did not fail');
    },
    (error) => error,
  );
}

const states = (error: { report: { steps: readonly { step: string; state: string }[] } }) =>
  Object.fromEntries(error.report.steps.map(({ step, state }) => [step, state]));

describe('a switch', () => {
  it('points the Service to the new target, and reports what it did', async () => {
    const report = await switchTarget(options({ expect: 'Primary-DB.example.com.', reason: 'region down' }));
    expect(api.service?.spec.externalName).toBe('secondary-db.example.com');
    expect(report).toMatchObject({
      service: 'webscaler-db.default.svc.cluster.local',
      from: 'primary-db.example.com',
      to: 'secondary-db.example.com',
      result: 'switched',
      by: 'system:serviceaccount:ops:switcher',
      reason: 'region down',
      warnings: [],
    });
    expect(states({ report })).toEqual({
      read: 'done',
      probe: 'skipped',
      'dry-run': 'done',
      patch: 'done',
      event: 'done',
      watch: 'done',
      dns: 'skipped',
    });
  });

  it('writes who, when, why and the previous value into the annotations, and leaves the others alone', async () => {
    api.put('primary-db.example.com', 'ExternalName', { annotations: { team: 'web' } });
    const report = await switchTarget(options({ reason: 'region down', by: 'on-call' }));
    expect(api.service?.metadata.annotations).toEqual({
      team: 'web',
      [switchAnnotations.id]: report.id,
      [switchAnnotations.previous]: 'primary-db.example.com',
      [switchAnnotations.target]: 'secondary-db.example.com',
      [switchAnnotations.by]: 'on-call',
      [switchAnnotations.at]: report.at,
      [switchAnnotations.reason]: 'region down',
    });
  });

  it('leaves an Event at the Service', async () => {
    await switchTarget(options({ by: 'on-call', reason: 'region down' }));
    expect(api.events).toMatchObject([
      {
        reason: 'TargetSwitched',
        message: 'on-call switched the target from primary-db.example.com to secondary-db.example.com: region down',
        involvedObject: { kind: 'Service', name: 'webscaler-db', namespace: 'default', uid: 'uid-1' },
        metadata: {
          annotations: {
            [switchAnnotations.previous]: 'primary-db.example.com',
            [switchAnnotations.target]: 'secondary-db.example.com',
            [switchAnnotations.by]: 'on-call',
            [switchAnnotations.reason]: 'region down',
          },
        },
      },
    ]);
  });

  it('asks the server before it writes, and not the other way round', async () => {
    await switchTarget(options());
    const writes = api.requests.filter((request) => ['dry-run', 'patch'].includes(request));
    expect(writes).toEqual(['dry-run', 'patch']);
  });

  it('leaves out the steps that its caller does not need, and sends its patch with the same guard', async () => {
    const report = await switchTarget(options({ skip: ['dry-run', 'watch'] }));
    expect(states({ report })).toMatchObject({ 'dry-run': 'skipped', patch: 'done', event: 'done', watch: 'skipped' });
    expect(api.requests).not.toContain('dry-run');
    expect(api.requests.some((request) => request.startsWith('watch'))).toBe(false);
    api.put('tertiary-db.example.com');
    const expected = { to: 'primary-db.example.com', expect: 'secondary-db.example.com' };
    await expect(switchTarget(options({ ...expected, skip: ['dry-run'] }))).rejects.toThrow('unexpected-target');
  });

  it('asks the server in a dry run, whatever is to be left out', async () => {
    expect((await switchTarget(options({ dryRun: true, skip: ['dry-run'] }))).result).toBe('dry-run');
    expect(api.requests).toContain('dry-run');
  });

  it('changes nothing where the Service already points there', async () => {
    const report = await switchTarget(options({ to: 'primary-db.example.com', expect: 'tertiary-db.example.com' }));
    expect(report.result).toBe('unchanged');
    expect(api.requests).not.toContain('patch');
  });

  it('changes nothing in a dry run', async () => {
    const report = await switchTarget(options({ dryRun: true }));
    expect(report.result).toBe('dry-run');
    expect(api.requests).toContain('dry-run');
    expect(api.service?.spec.externalName).toBe('primary-db.example.com');
  });

  it('is made all the same where no Event may be written and nothing may be watched: that is a warning', async () => {
    api.answerWith((_, url) =>
      url.pathname.endsWith('/events') || url.pathname.endsWith('/services') ? forbidden('create') : undefined,
    );
    const report = await switchTarget(options());
    expect(report.result).toBe('switched');
    expect(report.warnings).toEqual([
      expect.stringContaining('resources: ["events"]'),
      expect.stringContaining('not seen through a watch'),
    ]);
  });

  it.each([
    ['Argo CD', { managedFields: [managed('argocd-controller', 'Apply')] }],
    ['Argo CD', { annotations: { 'argocd.argoproj.io/tracking-id': 'app:/Service:default/webscaler-db' } }],
    ['Flux', { managedFields: [managed('kustomize-controller', 'Apply')] }],
    ['Helm', { labels: { 'app.kubernetes.io/managed-by': 'Helm' } }],
    ['field manager deployer', { managedFields: [managed('deployer', 'Apply')] }],
  ])('warns that %s will put the old name back', async (owner, metadata) => {
    api.put('primary-db.example.com', 'ExternalName', metadata);
    const report = await switchTarget(options());
    expect(report.warnings).toEqual([expect.stringContaining(owner)]);
    expect(report.warnings[0]).toContain('will put primary-db.example.com back');
  });

  it('does not warn of what people did by hand', async () => {
    api.put('primary-db.example.com', 'ExternalName', { managedFields: [managed('kubectl-patch', 'Update')] });
    expect((await switchTarget(options())).warnings).toEqual([]);
  });
});

describe('the cluster of a switch', () => {
  const where = () => ({ context: 'scripted', name: 'scripted', server: `http://127.0.0.1:${api.port}` });
  const inWords = () => `http://127.0.0.1:${api.port} (context scripted, cluster scripted)`;

  it('stands in its report', async () => {
    expect((await switchTarget(options())).cluster).toEqual(where());
    expect((await rollback(optionsOfRollback())).cluster).toEqual(where());
    expect((await switchTarget(options({ dryRun: true }))).cluster).toEqual(where());
  });

  it('stands in a refusal', async () => {
    const error = await failure(switchTarget(options({ expect: 'tertiary-db.example.com' })));
    expect(error).toBeInstanceOf(SwitchRefusedError);
    expect(error.message).toContain(inWords());
    expect(error.report.cluster).toEqual(where());
  });

  it('stands in a failure, and in what led to it', async () => {
    api.answerWith((request) => (request.method === 'PATCH' ? forbidden('patch') : undefined));
    const error = await failure(switchTarget(options()));
    expect(error).toBeInstanceOf(SwitchFailedError);
    expect(error.message).toContain(`to secondary-db.example.com at ${inWords()} failed`);
    expect((error.cause as Error).message).toContain(inWords());
    expect(error.report.cluster).toEqual(where());
  });

  it('is not told with the credentials of its URL', async () => {
    const kubeConfig = api.kubeConfig();
    kubeConfig.getCurrentCluster = () => ({ name: 'c', server: `http://operator:sesame@127.0.0.1:${api.port}/` });
    const report = await switchTarget(options({ kubeConfig, dryRun: true }));
    expect(report.cluster?.server).toBe(`http://127.0.0.1:${api.port}`);
    expect(JSON.stringify(report)).not.toContain('sesame');
  });

  it('stays the one that was read, though another context is current by the time of the patch', async () => {
    await using other = await startedApi();
    other.put('primary-db.example.com');
    const folder = await mkdtemp(join(tmpdir(), 'externalname-kubeconfig-'));
    const file = join(folder, 'config');
    const write = (current: string) =>
      writeFileSync(
        file,
        JSON.stringify({
          clusters: [api, other].map(({ port }, index) => ({
            name: `c${index}`,
            cluster: { server: `http://127.0.0.1:${port}` },
          })),
          contexts: ['staging', 'production'].map((name, index) => ({ name, context: { cluster: `c${index}` } })),
          'current-context': current,
        }),
      );
    write('staging');
    // A refused login has the file read again.
    api.answerWith((request) => {
      if (request.method !== 'POST') return undefined;
      write('production');
      return { status: 401, body: status(401, 'Unauthorized', 'Unauthorized') };
    });
    const report = await switchTarget(options({ kubeConfig: file }));
    expect(report).toMatchObject({ result: 'switched', cluster: { context: 'staging', name: 'c0' } });
    expect(api.service?.spec.externalName).toBe('secondary-db.example.com');
    expect(other.requests).toEqual([]);
    await rm(folder, { recursive: true });
  });
});

/** A second API, which is stopped at the end of the block. */
async function startedApi(): Promise<ScriptedApi & AsyncDisposable> {
  const started = await new ScriptedApi().start();
  return Object.assign(started, { [Symbol.asyncDispose]: () => started.stop() });
}

describe('a switch that is refused', () => {
  it.each([
    [{ to: 'evil.example.org' }, 'ERR_EXTERNALNAME_TARGET_REFUSED'],
    [{ to: '192.0.2.1', allowedTargets: 'any' as const }, 'ERR_EXTERNALNAME_TARGET_IS_ADDRESS'],
    [{ to: 'not a name' }, 'ERR_EXTERNALNAME_INVALID_ARGUMENT'],
    [{ allowedTargets: [] }, 'ERR_EXTERNALNAME_ALLOW_LIST_REQUIRED'],
    [{ expect: '-' }, 'ERR_EXTERNALNAME_INVALID_ARGUMENT'],
    [{ reason: 'x'.repeat(1001) }, 'ERR_EXTERNALNAME_INVALID_ARGUMENT'],
  ])('for %o costs no request', async (changes, code) => {
    await expect(switchTarget(options(changes))).rejects.toMatchObject({ code });
    expect(api.requests).toEqual([]);
  });

  it('because the Service points elsewhere than the operator thinks', async () => {
    const error = await failure(switchTarget(options({ expect: 'tertiary-db.example.com' })));
    expect(error).toBeInstanceOf(SwitchRefusedError);
    expect(error.message).toContain('points to primary-db.example.com, not to tertiary-db.example.com');
    expect(error.outcome).toBe('not-executed');
    expect(api.requests).not.toContain('dry-run');
  });

  it('because the Service is none of that type', async () => {
    api.put('', 'ClusterIP');
    const error = await failure(switchTarget(options()));
    expect(error.code).toBe('ERR_EXTERNALNAME_SWITCH_FAILED');
    expect(error.cause).toMatchObject({ code: 'ERR_EXTERNALNAME_NOT_EXTERNAL_NAME' });
  });

  it('because somebody else switched in between', async () => {
    api.answerWith((request) => {
      // Right before the patch arrives.
      if (request.method === 'PATCH' && !request.url?.includes('dryRun')) {
        api.answerWith();
        api.put('tertiary-db.example.com');
      }
      return undefined;
    });
    const error = await failure(switchTarget(options()));
    expect(error.objections).toMatchObject([{ kind: 'unexpected-target' }]);
    expect(error.message).toContain('changed in the meantime and points to tertiary-db.example.com');
    expect(api.service?.spec.externalName).toBe('tertiary-db.example.com');
  });
});

describe('a switch that meets a change which does not concern it', () => {
  it('is made, and keeps that change', async () => {
    let changes = 0;
    api.answerWith((request) => {
      if (request.method !== 'PATCH' || request.url?.includes('dryRun') || changes > 0) return undefined;
      changes += 1;
      api.put('primary-db.example.com', 'ExternalName', { annotations: { team: 'web' } });
      return undefined;
    });
    const report = await switchTarget(options());
    expect(report.result).toBe('switched');
    expect(api.service?.metadata.annotations).toMatchObject({ team: 'web', [switchAnnotations.id]: report.id });
  });
});

describe('a switch that fails', () => {
  it('says what was done and what was not: nothing, where the server would not accept it', async () => {
    const denied = 'services "webscaler-db" is forbidden: ValidatingAdmissionPolicy denied request';
    api.answerWith((request) =>
      request.method === 'PATCH' ? { status: 422, body: status(422, 'Invalid', denied) } : undefined,
    );
    const error = await failure(switchTarget(options()));
    expect(error).toBeInstanceOf(SwitchFailedError);
    expect(error.outcome).toBe('not-executed');
    expect(states(error)).toMatchObject({
      read: 'done',
      'dry-run': 'failed',
      patch: 'not-reached',
      event: 'not-reached',
    });
    expect(error.message).toContain('ValidatingAdmissionPolicy denied');
    expect(error.message).toContain('still points to primary-db.example.com, nothing was changed');
  });

  it('prints the rule that is missing where patching is forbidden', async () => {
    api.answerWith((request) => (request.method === 'PATCH' ? forbidden('patch') : undefined));
    const error = await failure(switchTarget(options()));
    expect(error.cause).toMatchObject({
      code: 'ERR_EXTERNALNAME_KUBERNETES_FORBIDDEN',
      missingRule:
        '- apiGroups: [""]\n  resources: ["services"]\n  resourceNames: ["webscaler-db"]\n  verbs: ["patch"]',
    });
  });

  it('finds out that it was made, where only the answer was lost', async () => {
    api.answerWith((request) => {
      if (request.method !== 'PATCH' || request.url?.includes('dryRun')) return undefined;
      setImmediate(() => request.socket.destroy());
      api.answerWith();
      return undefined;
    });
    const report = await switchTarget(options());
    expect(report.result).toBe('switched');
    expect(api.service?.metadata.annotations?.[switchAnnotations.id]).toBe(report.id);
  });

  it('sends it again, once it is answered, where it was lost on the way', async () => {
    let lost = 0;
    api.answerWith((request) => {
      if (request.method !== 'PATCH' || request.url?.includes('dryRun') || lost > 0) return undefined;
      lost += 1;
      request.socket.destroy();
      return 'silence';
    });
    const report = await switchTarget(options());
    expect(report.result).toBe('switched');
    expect(lost).toBe(1);
    expect(api.service?.spec.externalName).toBe('secondary-db.example.com');
  });

  it('reports an unknown outcome if the server is gone since the patch was sent', async () => {
    api.answerWith((request) => {
      if (request.method !== 'PATCH' || request.url?.includes('dryRun')) return undefined;
      setImmediate(() => api.stop());
      return 'silence';
    });
    const error = await failure(switchTarget(options({ requestTimeoutMillis: 2_000 })));
    expect(error.outcome).toBe('unknown');
    expect(error.report.result).toBe('unknown');
    expect(error.message).toContain('check it before you try again');
  }, 20_000);

  it('is given up with the signal, before anything was changed, with its own reason', async () => {
    const controller = new AbortController();
    api.answerWith((request) => {
      if (request.url?.includes('dryRun')) controller.abort(new Error('enough'));
      return undefined;
    });
    await expect(switchTarget(options({ signal: controller.signal }))).rejects.toThrow(/^enough$/);
    expect(api.service?.spec.externalName).toBe('primary-db.example.com');
  });

  it('is not given up while the patch is on its way: the answer says whether the Service was switched', async () => {
    const controller = new AbortController();
    api.answerWith((request) => {
      if (request.method === 'PATCH' && !request.url?.includes('dryRun')) controller.abort(new Error('enough'));
      return undefined;
    });
    const error = await failure(switchTarget(options({ signal: controller.signal })));
    expect(error).toBeInstanceOf(SwitchFailedError);
    expect(error.report.result).toBe('switched');
    expect(error.message).toContain('The Service points to secondary-db.example.com now');
    expect((error.cause as Error).message).toBe('enough');
    expect(api.service?.spec.externalName).toBe('secondary-db.example.com');
  });

  it('says that the Service was switched, where DNS does not follow', async () => {
    const error = await failure(switchTarget(options({ dnsServers: ['127.0.0.1:9'], propagationTimeoutMillis: 200 })));
    expect(error.report.result).toBe('switched');
    expect(error.outcome).toBeUndefined();
    expect(error.message).toContain('The Service points to secondary-db.example.com now');
    expect(states(error)).toMatchObject({ patch: 'done', dns: 'failed' });
  });
});

describe('what an attacker may have written into the Service', () => {
  const asked: string[] = [];
  // Stands for a probe that logs in with the operator's password.
  const probe: Probe = {
    name: 'postgres',
    run: async (host) => {
      asked.push(host);
      return { ok: true, detail: 'answers' };
    },
  };
  const probes = { target: [probe], previous: [probe] };

  beforeEach(() => {
    asked.length = 0;
    api.put('evil.example.org');
  });

  it.each([{}, { dryRun: true }])(
    'is not probed as the previous target: the switch is refused before any probe (%j)',
    async (more) => {
      const error = await failure(switchTarget(options({ probes, ...more })));
      expect(error.objections).toMatchObject([{ kind: 'previous-not-allowed' }]);
      expect(asked).toEqual([]);
      expect(api.service?.spec.externalName).toBe('evil.example.org');
    },
  );

  it('is left behind if that is accepted, and is not probed then either', async () => {
    const report = await switchTarget(options({ probes, accept: ['previous-not-allowed'] }));
    expect(report).toMatchObject({ result: 'switched', accepted: [{ kind: 'previous-not-allowed' }] });
    expect(asked).toEqual(['secondary-db.example.com']);
  });

  it('is left behind without a question if no probe would ask it', async () => {
    const report = await switchTarget(options({ probes: { target: [probe] } }));
    expect(report).toMatchObject({ result: 'switched', accepted: [] });
  });

  it('is an address, which is on no list', async () => {
    api.put('203.0.113.7');
    await failure(switchTarget(options({ probes })));
    expect(asked).toEqual([]);
  });

  it('is not probed by a rollback, whatever the annotations say', async () => {
    const record = (previous: string, target: string) => ({
      annotations: {
        [switchAnnotations.id]: 'made-up',
        [switchAnnotations.previous]: previous,
        [switchAnnotations.target]: target,
      },
    });
    api.put('evil.example.org', 'ExternalName', record('primary-db.example.com', 'evil.example.org'));
    const error = await failure(rollback(optionsOfRollback({ probes })));
    expect(error.objections).toMatchObject([{ kind: 'previous-not-allowed' }]);
    api.put('secondary-db.example.com', 'ExternalName', record('evil.example.org', 'secondary-db.example.com'));
    expect(await failure(rollback(optionsOfRollback({ probes })))).toMatchObject({
      code: 'ERR_EXTERNALNAME_TARGET_REFUSED',
    });
    expect(asked).toEqual([]);
  });

  it('does not reach a terminal as an escape sequence', async () => {
    const metadata = {
      annotations: { [switchAnnotations.by]: '\u001b[2Jsomebody\n', 'meta.helm.sh/release-name': 'x' },
      managedFields: [
        { manager: 'argocd\u001b[2J', operation: 'Apply', fieldsV1: { 'f:spec': { 'f:externalName': {} } } },
      ],
    };
    api.put('primary-db.example.com', 'ExternalName', metadata);
    const said = { name: 'loud', run: async () => ({ ok: true, detail: 'FATAL: \u001b[31m\nno' }) };
    const report = await switchTarget(options({ probes: { target: [said] } }));
    const text = JSON.stringify([report.warnings, report.steps, report.probes]);
    expect(text).toContain('\\\\u{1b}[31m no');
    expect(text).not.toMatch(/\\u001b|\\n/);
  });

  it.each(['reason', 'by'] as const)('refuses a line break or an escape sequence in %s', async (option) => {
    for (const text of ['two\nlines', '\u001b[2J', 'left\u202eright']) {
      expect(await failure(switchTarget(options({ [option]: text })))).toMatchObject({
        code: 'ERR_EXTERNALNAME_INVALID_ARGUMENT',
        argument: option,
      });
    }
    expect(api.requests).toEqual([]);
  });

  it('takes no user name with escape sequences into the annotation', async () => {
    api.put('primary-db.example.com');
    api.answerWith((_, url) =>
      url.pathname.endsWith('/selfsubjectreviews')
        ? { status: 201, body: { status: { userInfo: { username: 'eve\u001b[2J\n' } } } }
        : undefined,
    );
    expect((await switchTarget(options())).by).toBe('eve\\u{1b}[2J ');
  });

  it('is not the token, though the API says it back', async () => {
    const message = 'no, Bearer correct-horse is not taken';
    api.answerWith(() => ({ status: 422, body: status(422, 'Invalid', message) }));
    const error = await failure(switchTarget(options({ kubeConfig: api.kubeConfig(() => 'correct-horse') })));
    expect(error.message).toContain('no, Bearer [hidden] is not taken');
    expect(JSON.stringify([error.report, error.cause, String(error.stack)])).not.toContain('correct-horse');
  });

  it('is not the Service of the same name in another namespace', async () => {
    api.answerWith((request) =>
      request.method === 'GET'
        ? { status: 200, body: { ...api.service, metadata: { ...api.service?.metadata, namespace: 'evil' } } }
        : undefined,
    );
    const error = await failure(switchTarget(options()));
    expect(error.message).toContain('something other than that Service');
    expect(api.requests).not.toContain('patch');
  });

  it('is not an option that stands on a prototype', async () => {
    const { allowedTargets: _, ...given } = options({ to: 'evil.example.net' });
    const polluted = Object.assign(Object.create({ allowedTargets: 'any' }), given);
    expect(await failure(switchTarget(polluted))).toMatchObject({ code: 'ERR_EXTERNALNAME_ALLOW_LIST_REQUIRED' });
  });
});

describe('probes before a switch', () => {
  const probe = (name: string, postgres?: Partial<PostgresState>, ok = true): Probe => ({
    name,
    run: async () => ({
      ok,
      detail: 'looked at',
      ...(postgres && {
        postgres: {
          inRecovery: false,
          readOnly: false,
          systemIdentifier: '1',
          timeline: 1,
          logPosition: 100n,
          replayDelaySeconds: undefined,
          ...postgres,
        },
      }),
    }),
  });
  const dead: Probe = {
    name: 'postgres',
    run: () => Promise.reject(new Error('connect ECONNREFUSED')),
  };

  it('let it pass where the old target is gone and the new one takes writes', async () => {
    const probes = { target: [probe('postgres', { timeline: 2 })], previous: [dead] };
    const report = await switchTarget(options({ probes }));
    expect(report.result).toBe('switched');
    expect(report.probes).toMatchObject([
      { host: 'secondary-db.example.com', ok: true },
      { host: 'primary-db.example.com', ok: false, detail: 'connect ECONNREFUSED' },
    ]);
  });

  it.each([
    ['probe-failed', { target: [dead] }],
    ['probe-failed', { target: [probe('mine', undefined, false)] }],
    ['not-writable', { target: [probe('postgres', { inRecovery: true })], previous: [dead] }],
    ['not-writable', { target: [probe('postgres', { readOnly: true })], previous: [dead] }],
    ['split-brain', { target: [probe('postgres', { timeline: 2 })], previous: [probe('postgres', {})] }],
    [
      'different-system',
      { target: [probe('postgres', { systemIdentifier: '2' })], previous: [probe('postgres', { readOnly: true })] },
    ],
    [
      'older-timeline',
      { target: [probe('postgres', {})], previous: [probe('postgres', { timeline: 2, readOnly: true })] },
    ],
  ])('refuse it for %s, unless that is accepted', async (kind, probes) => {
    const error = await failure(switchTarget(options({ probes })));
    expect(error).toBeInstanceOf(SwitchRefusedError);
    expect(error.objections.map((objection) => objection.kind)).toEqual([kind]);
    expect(api.requests).not.toContain('dry-run');
    const report = await switchTarget(options({ probes, accept: [kind as never] }));
    expect(report.result).toBe('switched');
    expect(report.accepted.map((objection) => objection.kind)).toEqual([kind]);
  });

  it('refuse a standby that has not replayed all, beyond the lag that is allowed', async () => {
    const probes = {
      target: [probe('postgres', { inRecovery: true, logPosition: 900n })],
      previous: [probe('postgres', { readOnly: true, logPosition: 1000n })],
    };
    const accept = ['not-writable'] as const;
    const error = await failure(switchTarget(options({ probes, accept, maxLagBytes: 99 })));
    expect(error.objections.map(({ kind }) => kind)).toEqual(['lag']);
    expect((await switchTarget(options({ probes, accept, maxLagBytes: 100 }))).result).toBe('switched');
  });

  it('have a deadline each', async () => {
    const hanging: Probe = { name: 'hanging', run: () => new Promise(() => undefined) };
    const error = await failure(switchTarget(options({ probes: { target: [hanging] }, probeTimeoutMillis: 20 })));
    expect(error.message).toContain('probe hanging of secondary-db.example.com took longer than 20 ms');
  });
});

describe('a rollback', () => {
  it('goes back to the recorded previous target, with the same record', async () => {
    await switchTarget(options({ reason: 'drill' }));
    const report = await rollback(optionsOfRollback());
    expect(report).toMatchObject({
      from: 'secondary-db.example.com',
      to: 'primary-db.example.com',
      result: 'switched',
    });
    expect(api.service?.spec.externalName).toBe('primary-db.example.com');
    expect(api.service?.metadata.annotations).toMatchObject({
      [switchAnnotations.previous]: 'secondary-db.example.com',
      [switchAnnotations.target]: 'primary-db.example.com',
    });
    // The reason of the switch before is none of this one.
    expect(api.service?.metadata.annotations).not.toHaveProperty(switchAnnotations.reason);
  });

  it('is refused where no switch was recorded', async () => {
    const error = await failure(rollback(optionsOfRollback()));
    expect(error.objections).toMatchObject([{ kind: 'nothing-to-roll-back' }]);
  });

  it('is refused where the Service was pointed elsewhere since', async () => {
    await switchTarget(options());
    api.put('tertiary-db.example.com');
    const error = await failure(rollback(optionsOfRollback()));
    expect(error.objections).toMatchObject([{ kind: 'unexpected-target' }]);
    expect(api.service?.spec.externalName).toBe('tertiary-db.example.com');
  });

  it('is refused where the recorded name is not allowed any more', async () => {
    await switchTarget(options());
    await expect(rollback(optionsOfRollback({ allowedTargets: ['secondary-db.example.com'] }))).rejects.toMatchObject({
      code: 'ERR_EXTERNALNAME_TARGET_REFUSED',
      message: expect.stringContaining(`http://127.0.0.1:${api.port} (context scripted, cluster scripted)`),
    });
  });
});

function managed(manager: string, operation: string) {
  return { manager, operation, fieldsV1: { 'f:spec': { 'f:externalName': {} } } };
}

describe('a switch that is shown as it is done', () => {
  it('tells each step when it begins and when it is over, with what the probes found', async () => {
    const probe: Probe = { name: 'ping', run: async () => ({ ok: true, detail: 'answers' }) };
    const told: string[] = [];
    await switchTarget(
      options({
        probes: { target: [probe] },
        onProgress: ({ step, state, detail, probes }) =>
          told.push(
            `${step} ${state} ${probes.map(({ detail: found }) => found).join()}${step === 'patch' ? detail : ''}`,
          ),
      }),
    );
    expect(told.map((line) => line.trim())).toEqual([
      'read running',
      'read done',
      'probe running',
      'probe done answers',
      'dry-run running',
      'dry-run done',
      'patch running',
      'patch done primary-db.example.com -> secondary-db.example.com',
      'event running',
      'event done',
      'watch running',
      'watch done',
      'dns skipped',
    ]);
  });

  it('tells the step that failed', async () => {
    api.answerWith((request) => (request.method === 'PATCH' ? forbidden('patch') : undefined));
    const told: string[] = [];
    await failure(switchTarget(options({ onProgress: ({ step, state }) => told.push(`${step} ${state}`) })));
    expect(told.at(-1)).toBe('dry-run failed');
  });

  it('goes on if the one who is told throws, and reports that as Node.js reports it of listeners', async () => {
    const uncaught: unknown[] = [];
    const others = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException');
    process.on('uncaughtException', (error) => uncaught.push(error));
    try {
      const defect = new Error('a defect');
      const report = await switchTarget(
        options({
          onProgress: () => {
            throw defect;
          },
        }),
      );
      expect(report.result).toBe('switched');
      expect(uncaught).toContain(defect);
    } finally {
      process.removeAllListeners('uncaughtException');
      for (const listener of others) process.on('uncaughtException', listener);
    }
  });
});

describe('a target that is still a standby', () => {
  const primary: PostgresState = {
    inRecovery: false,
    readOnly: false,
    systemIdentifier: '1',
    timeline: 2,
    logPosition: 100n,
    replayDelaySeconds: undefined,
  };
  const standby: PostgresState = { ...primary, inRecovery: true, timeline: 1 };
  /** Says one state after the other, and the last one again and again. */
  const saying = (...states: PostgresState[]): Probe => ({
    name: 'postgres',
    run: async () => ({ ok: true, detail: 'answers', postgres: states.length > 1 ? states.shift() : states[0] }),
  });
  const fenced = saying({ ...primary, readOnly: true, timeline: 1 });

  it('is refused at once', async () => {
    const error = await failure(switchTarget(options({ probes: { target: [saying(standby, primary)] } })));
    expect(error.objections).toMatchObject([{ kind: 'not-writable' }]);
  });

  it('is waited for if that is asked for, with an old target that is fenced in between', async () => {
    const waits: string[] = [];
    const previous = saying({ ...primary, timeline: 1 }, { ...primary, readOnly: true, timeline: 1 });
    const report = await switchTarget(
      options({
        waitForPromotionMillis: 20_000,
        probes: { target: [saying(standby, standby, primary)], previous: [previous] },
        onProgress: ({ state, detail }) => {
          if (state === 'running' && detail !== '') waits.push(detail);
        },
      }),
    );
    expect(report.result).toBe('switched');
    expect(waits).toEqual(Array.from({ length: 2 }, () => 'waits until secondary-db.example.com is promoted'));
  });

  it('is refused when the time is up, and the Service was not changed', async () => {
    const error = await failure(
      switchTarget(options({ waitForPromotionMillis: 10, probes: { target: [saying(standby)], previous: [fenced] } })),
    );
    expect(error.objections).toMatchObject([{ kind: 'not-writable' }]);
    expect(api.service?.spec.externalName).toBe('primary-db.example.com');
  });

  it('is not waited for if something else is wrong that no time mends', async () => {
    const stranger = saying({ ...standby, systemIdentifier: '2' });
    const error = await failure(
      switchTarget(options({ waitForPromotionMillis: 60_000, probes: { target: [stranger], previous: [fenced] } })),
    );
    expect(error.objections.map(({ kind }) => kind)).toEqual(['not-writable', 'different-system']);
  });

  it('is given up with the signal', async () => {
    const controller = new AbortController();
    const switching = switchTarget(
      options({
        waitForPromotionMillis: 60_000,
        probes: { target: [saying(standby)], previous: [fenced] },
        signal: controller.signal,
        onProgress: ({ detail }) => {
          if (detail.startsWith('waits')) controller.abort(new Error('enough'));
        },
      }),
    );
    await expect(switching).rejects.toThrow(/^enough$/);
    expect(api.service?.spec.externalName).toBe('primary-db.example.com');
  });
});
