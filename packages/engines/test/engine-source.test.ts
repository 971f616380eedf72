import { checkTargetSource, type TargetSourceHarness, targetSourceContract } from '@externalname/core/internal-testing';
import { afterEach, describe, expect, it } from 'vitest';
import { type EngineState, engineSource } from '../src/index.ts';
import { until } from './engine.contract.ts';
import { answersOf, ScriptedClients, type ScriptedPostgres } from './stand-ins/postgres-clients.ts';
import { ScriptedEngine } from './stand-ins/scripted-engine.ts';

const names = ['primary-db.example.com', 'secondary-db.example.com', 'tertiary-db.example.com'];
const targets = Object.fromEntries(names.map((name) => [name.split('-')[0], name]));
const closing: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

describe.each(targetSourceContract)('a source of an engine $promise', ({ check }) => {
  it('keeps its promise', () => checkTargetSource(check, harness));
});

describe('a source of an engine', () => {
  it.each([
    ['does not know', { state: 'unknown', reason: 'paused', detail: 'patronictl resume' }, 'paused'],
    ['names a member without a target', { state: 'leader', member: 'fourth' }, 'member-not-allowed'],
  ] as const)('has no target if the engine %s', async (_, state: EngineState, reason) => {
    const scripted = new ScriptedEngine('primary');
    scripted.state = state;
    const source = open(scripted);
    await expect(source.current()).rejects.toMatchObject({
      code: 'ERR_EXTERNALNAME_ENGINE_UNKNOWN',
      reason,
      outcome: 'not-executed',
    });
  });

  it('stays with its target, stale, while the new leader does not confirm that it leads, and moves when it does', async () => {
    const scripted = new ScriptedEngine('primary');
    const source = open(scripted);
    const told: string[] = [];
    source.subscribe(({ externalName }) => told.push(externalName));
    await source.current();
    scripted.words.set('secondary', { leads: false, detail: 'it is replica' });
    scripted.lead('secondary');
    await until('the doubt', () => source.known?.stale === true);
    expect(source.known?.externalName).toBe(names[0]);
    scripted.words.delete('secondary');
    await until('the new target', () => told.length > 1);
    expect(told).toEqual([names[0], names[1]]);
    expect(source.known).toMatchObject({ externalName: names[1], stale: false, source: 'engine' });
  });

  it('announces the switch when its leader steps down, and takes it back when that one goes on to lead', async () => {
    const scripted = new ScriptedEngine('primary');
    const source = open(scripted);
    const told: string[] = [];
    const plans: unknown[] = [];
    source.subscribe(({ externalName }) => told.push(externalName));
    source.subscribePlanned?.((plan) => plans.push(plan));
    await source.current();
    scripted.state = { state: 'releasing', member: 'primary', to: 'secondary' };
    await source.current({ fresh: true });
    await until('the plan', () => plans.length === 1);
    scripted.state = { state: 'leader', member: 'primary' };
    await source.current({ fresh: true });
    await until('the end of the plan', () => plans.length === 2);
    scripted.state = { state: 'releasing', member: 'primary' };
    await source.current({ fresh: true });
    scripted.state = { state: 'releasing', member: 'primary', to: 'a member without a target' };
    await source.current({ fresh: true });
    scripted.lead('secondary');
    await until('the new target', () => told.length > 1);
    expect(plans).toEqual([{ to: names[1] }, undefined, { to: undefined }]);
  });

  it.each([
    ['takes no writes', { inRecovery: true }, 'not-writable'],
    ['is on a lower timeline', { timeline: 1 }, 'older-timeline'],
    ['is not a copy of the last one', { system: '8' }, 'different-system'],
  ] as const)('does not move to a leader that %s', async (_, change, reason) => {
    const servers: Record<string, ScriptedPostgres> = Object.fromEntries(
      names.map((name) => [name, { inRecovery: false, readOnly: false, timeline: 2, system: '7' }]),
    );
    const clients = new ScriptedClients((host, query) => answersOf(servers[host] as ScriptedPostgres, query));
    const scripted = new ScriptedEngine('primary');
    const source = open(scripted, { client: clients.client });
    await source.current();
    Object.assign(servers[names[1] as string] as ScriptedPostgres, change);
    scripted.lead('secondary');
    expect(await source.current({ fresh: true })).toMatchObject({ externalName: names[0], stale: true });
    const other = open(scripted, { client: clients.client });
    if (reason === 'not-writable') await expect(other.current()).rejects.toMatchObject({ reason });
    expect(clients.open).toBe(0);
  });
});

function open(scripted: ScriptedEngine, options: { client?: ScriptedClients['client'] } = {}) {
  const source = engineSource({ engine: scripted.engine, targets, ...options });
  closing.push(
    () => source.close(),
    () => scripted.engine.close(),
  );
  return source;
}

function harness(): TargetSourceHarness {
  const scripted = new ScriptedEngine('primary', { isPolled: true });
  const source = engineSource({ engine: scripted.engine, targets });
  return {
    source,
    change: (externalName) => {
      scripted.state = { state: 'leader', member: externalName.split('-')[0] ?? '' };
    },
    settle: () => new Promise((resolve) => setTimeout(resolve, 150)),
    fail: () => {
      scripted.isDown = true;
    },
    recover: () => {
      scripted.isDown = false;
    },
    dispose: () => scripted.engine.close(),
  };
}
