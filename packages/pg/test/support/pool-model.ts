/**
 * The whole pool against a simple model: whatever is asked of it, in whatever order, and whatever its two servers do.
 *
 * A failure prints the seed and the shortest sequence of commands that shows it. `POOL_MODEL_SEED=…` does a run again, with the same
 * `POOL_MODEL_RUNS`. Left out, `pnpm test` plays some sequences and `pnpm test:long` a thousand, different ones each time.
 */
import type { Clock, Resolver } from '@externalname/core';
import { StaticTargetSource, systemClock } from '@externalname/core';
import fc from 'fast-check';
import type * as pg from 'pg';
import { expect } from 'vitest';
import { Pool, type PoolOptions } from '../../src/index.ts';
import {
  authenticationOk,
  backendKey,
  commandComplete,
  errorResponse,
  type FakePostgres,
  type FakeSession,
  primaryParameters,
  readyForQuery,
  startFakePostgres,
} from './fake-postgres.ts';

export const max = 2;

type Place = 'primary' | 'secondary';
const other = (place: Place): Place => (place === 'primary' ? 'secondary' : 'primary');
const hostOf = (place: Place): string => `${place}-db.example.com`;
const addresses: Record<Place, string> = { primary: '127.0.0.1', secondary: '127.0.0.2' };

/** A session as its server sees it. */
interface ServerSession {
  readonly place: Place;
  /** Also the process id, and never the same on two servers. */
  readonly id: number;
  /** How many switches were asked for before it began. */
  readonly begunAt: number;
  readonly fake: FakeSession;
  inTransaction: boolean;
}

/** Both servers: what they do when told, and what they count. */
class Servers {
  readonly open = new Map<number, ServerSession>();
  readonly refusing: Record<Place, boolean> = { primary: false, secondary: false };
  /** Statements that wait for their answer. */
  readonly held = new Map<string, { readonly session: ServerSession; readonly answer: () => void }>();
  readonly violations: string[] = [];
  switches = 0;
  switchedTo: Record<Place, number> = { primary: 0, secondary: 0 };
  current: Place = 'primary';
  #lastId = 0;
  #fakes: FakePostgres[] = [];

  get port(): number {
    return this.#fakes[0]?.port ?? 0;
  }

  options(): ReturnType<FakePostgres['options']> {
    const [first] = this.#fakes;
    if (first === undefined) throw new Error('start the servers first');
    return first.options();
  }

  async start(): Promise<void> {
    for (const place of ['primary', 'secondary'] as const) {
      const script = (fake: FakeSession) => this.#serve(place, fake);
      const port = this.#fakes[0]?.port;
      this.#fakes.push(await startFakePostgres({ script, address: addresses[place], port }));
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#fakes.map((fake) => fake[Symbol.asyncDispose]()));
  }

  /** No server refuses any longer. */
  serve(): void {
    this.refusing.primary = false;
    this.refusing.secondary = false;
  }

  reset(): void {
    this.serve();
    this.violations.length = 0;
    this.switches = 0;
    this.switchedTo = { primary: 0, secondary: 0 };
    this.current = 'primary';
  }

  kill(session: ServerSession, politely: boolean): void {
    this.open.delete(session.id);
    if (politely)
      session.fake.send(errorResponse('57P01', 'FATAL', 'terminating connection due to administrator command'));
    if (politely) session.fake.socket.end();
    else session.fake.socket.destroy();
  }

  async #serve(place: Place, fake: FakeSession): Promise<void> {
    if (this.refusing[place]) {
      fake.send(errorResponse('57P03', 'FATAL', 'the database system is starting up'));
      fake.socket.end();
      return;
    }
    this.#lastId += 1;
    const session: ServerSession = { place, id: this.#lastId, begunAt: this.switches, fake, inTransaction: false };
    this.open.set(session.id, session);
    fake.socket.on('close', () => this.open.delete(session.id));
    this.#count(place);
    fake.send(authenticationOk, ...primaryParameters, backendKey(session.id), readyForQuery());
    for (;;) {
      const message = await fake.receive();
      if (message === undefined || message.type === 'X') {
        this.open.delete(session.id);
        fake.socket.end();
        return;
      }
      if (message.type !== 'Q') continue;
      const text = message.body.subarray(0, -1).toString().replace(select, '');
      fake.send(await this.#answer(session, text), readyForQuery(session.inTransaction ? 'T' : 'I'));
    }
  }

  async #answer(session: ServerSession, text: string): Promise<Buffer> {
    switch (text.split(' ')[0]) {
      case 'where':
        return commandComplete(`${session.place} ${session.id}`);
      case 'fail':
        return errorResponse('42P01');
      case 'hold':
        await new Promise<void>((answer) => {
          this.held.set(text, { session, answer });
          session.fake.socket.on('close', () => answer());
        });
        this.held.delete(text);
        return commandComplete('SELECT 0');
      case 'BEGIN':
        session.inTransaction = true;
        return commandComplete('BEGIN');
      case 'COMMIT':
        session.inTransaction = false;
        return commandComplete('COMMIT');
      default:
        return commandComplete('SELECT 0');
    }
  }

  // Looks a moment later: what the pool has closed already may not have been heard of.
  #count(place: Place): void {
    const look = () => {
      const sessions = [...this.open.values()];
      const current = sessions.filter((each) => each.place === place && each.begunAt >= this.switchedTo[place]).length;
      if (place === this.current && current > max) this.violations.push(`${current} connections at the ${place}`);
      // One more is the connection that shows that the next target serves.
      if (sessions.length > 2 * max + 1) this.violations.push(`${sessions.length} connections in all`);
    };
    setImmediate(() => setImmediate(look));
  }
}

/** One call, from the question to the end of what it holds. */
interface Call {
  readonly number: number;
  readonly kind: 'connect' | 'query' | 'failing query' | 'held query' | 'transaction';
  /** Ends the wait of a transaction. */
  readonly patience: AbortController;
  state: 'waiting' | 'holding' | 'over';
  /** How often it was answered. */
  answers: number;
  error: unknown;
  client: pg.PoolClient | undefined;
  epoch: number;
  session: number;
  inTransaction: boolean;
  /** Whether its connection is gone, by the server's or the pool's doing. */
  lost: boolean;
}

/** What should be. */
interface Model {
  place: Place;
  epoch: number;
  calls: Call[];
  made: number;
}

/** What is. */
interface Real {
  readonly pool: Pool;
  readonly source: StaticTargetSource;
  readonly servers: Servers;
  /** Clients whose connection is over, by their process id. */
  readonly gone: Set<number>;
}

const waiting = (model: Model) => model.calls.filter(({ state }) => state === 'waiting');
const holding = (model: Model) => model.calls.filter(({ state, lost }) => state === 'holding' && !lost);
const current = (model: Model) => holding(model).filter(({ epoch }) => epoch === model.epoch);
const draining = (model: Model) => holding(model).filter(({ epoch }) => epoch !== model.epoch);
const inHand = (model: Model) => model.calls.filter(({ state, kind }) => state === 'holding' && kind === 'connect');

// Ends the search for a shorter sequence, too: each one that fails may take as long as `until` is patient.
const longestRunMillis = 400;

const patienceMillis = 5_000;

/** Waits until it holds, and says what does not. */
async function until(what: string, holds: () => boolean): Promise<void> {
  const deadline = performance.now() + patienceMillis;
  for (let turn = 0; !holds(); turn += 1) {
    if (performance.now() > deadline) throw new Error(`never came true: ${what}`);
    await new Promise<void>((resolve) => (turn < 200 ? setImmediate(resolve) : setTimeout(resolve, 1)));
  }
}

/** Waits for a promise no longer than {@link until} does: a run that hangs would be interrupted, and tell nothing. */
async function settled<T>(what: string, promise: Promise<T>): Promise<T> {
  let over = false;
  const end = () => {
    over = true;
  };
  promise.then(end, end);
  await until(what, () => over);
  return await promise;
}

function processIdOf(client: pg.Client | pg.PoolClient): number {
  return (client as unknown as { processID: number }).processID;
}

// ---- What may be asked of the pool

function ask(model: Model, { pool }: Real, kind: Call['kind']): void {
  model.made += 1;
  const call: Call = {
    number: model.made,
    kind,
    patience: new AbortController(),
    state: 'waiting',
    answers: 0,
    error: undefined,
    client: undefined,
    epoch: -1,
    session: 0,
    inTransaction: false,
    lost: false,
  };
  model.calls.push(call);
  const result = askFor(call, pool);
  result.then(
    (answer) => {
      call.answers += 1;
      if (kind === 'connect') call.client = answer as pg.PoolClient;
    },
    (error: unknown) => {
      call.answers += 1;
      call.error = error;
    },
  );
}

const keepsPlace = ({ kind }: Call) => kind === 'connect' || kind === 'held query';

// With it, the pool takes a query for one that may be sent behind another.
const select = /^select /;

function askFor({ kind, number, patience }: Call, pool: Pool): Promise<unknown> {
  switch (kind) {
    case 'connect':
      return pool.connect();
    case 'query':
      return pool.query('select ok');
    case 'failing query':
      return pool.query('select fail');
    case 'held query':
      return pool.query(`select hold ${number}`);
    case 'transaction':
      return pool.transaction((tx) => tx.query('ok'), { signal: patience.signal, readOnly: true });
  }
}

/** Whom the model wants to be served now: the longest waiting first, as far as places go. */
function due(model: Model): Call[] {
  let places = max - current(model).length;
  const result: Call[] = [];
  for (const call of waiting(model)) {
    if (places <= 0) break;
    result.push(call);
    if (keepsPlace(call)) places -= 1;
  }
  return result;
}

function isServed(call: Call, { servers }: Real): boolean {
  return call.answers > 0 || servers.held.has(`hold ${call.number}`);
}

/** Lets the pool come to rest, follows in the model, and compares. */
async function settle(model: Model, real: Real): Promise<void> {
  const { pool, servers, gone } = real;
  const serves = !servers.refusing[model.place];
  const expected = due(model);
  const missing = () => expected.filter((call) => !isServed(call, real)).map(({ number }) => number);
  // A server that takes no new sessions serves as many as are open.
  const spare = () => {
    const served = expected.filter((call) => isServed(call, real) && keepsPlace(call));
    const open = [...servers.open.keys()].filter((id) => !holding(model).some(({ session }) => session === id));
    return open.length - served.length;
  };
  await until(`served: ${missing()}`, () => missing().length === 0 || (!serves && spare() <= 0));
  for (const call of waiting(model)) {
    if (!isServed(call, real)) continue;
    expect(expected, `call ${call.number} was served before those who came earlier`).toContain(call);
    await take(model, real, call);
  }
  await until('nothing is open but what counts and what drains', () => {
    const others = draining(model).map(({ session }) => session);
    const sessions = [...servers.open.values()].filter(({ id }) => !others.includes(id));
    return sessions.every(({ place }) => place === model.place) && (!serves || sessions.length === pool.totalCount);
  });
  // A caller that gave up may leave an attempt behind, which the pool finishes for itself.
  const used = () => pool.totalCount - pool.idleCount;
  await until(`${current(model).length} are in use`, () => !serves || used() === current(model).length);
  for (const { session } of holding(model)) expect(gone.has(session)).toBe(false);
  compare(model, real);
}

async function take(model: Model, { servers, gone }: Real, call: Call): Promise<void> {
  if (call.kind === 'connect') {
    expect(call.error).toBeUndefined();
    const { client } = call;
    if (client === undefined) throw new Error('served without a client');
    const { command, rowCount } = await settled('the server says which it is', client.query('where'));
    expect(command).toBe(model.place);
    call.session = rowCount ?? 0;
    expect(holding(model).map(({ session }) => session)).not.toContain(call.session);
    expect(gone.has(call.session)).toBe(false);
    call.state = 'holding';
  } else if (call.kind === 'held query') {
    const held = servers.held.get(`hold ${call.number}`);
    expect(call.error).toBeUndefined();
    expect(held?.session.place).toBe(model.place);
    call.session = held?.session.id ?? 0;
    call.state = 'holding';
  } else {
    if (call.kind === 'failing query') expect(call.error).toMatchObject({ code: '42P01' });
    else expect(call.error).toBeUndefined();
    call.state = 'over';
  }
  call.epoch = model.epoch;
}

function compare(model: Model, { pool, servers }: Real): void {
  const { total, waiting: waitingCallers, draining: drainingCount, epoch, target } = pool.status();
  expect(servers.violations).toEqual([]);
  expect(target?.externalName ?? hostOf('primary')).toBe(hostOf(model.place));
  expect(epoch).toBe(model.epoch);
  expect(waitingCallers).toBe(waiting(model).length);
  expect(drainingCount).toBe(draining(model).length);
  expect(drainingCount).toBeLessThanOrEqual(max);
  expect(total).toBeLessThanOrEqual(max);
  expect(servers.open.size).toBeLessThanOrEqual(2 * max);
  expect(pool.waitingCount).toBeLessThanOrEqual(waiting(model).length);
  if (!servers.refusing[model.place]) {
    expect(pool.waitingCount).toBe(waiting(model).length);
  }
  for (const call of model.calls) expect(call.answers).toBeLessThanOrEqual(1);
}

type PoolCommand = fc.AsyncCommand<Model, Real>;

export class Ask implements PoolCommand {
  readonly kind: Call['kind'];
  constructor(kind: Call['kind']) {
    this.kind = kind;
  }
  check = (model: Model) => waiting(model).length < 3 * max;
  async run(model: Model, real: Real): Promise<void> {
    ask(model, real, this.kind);
    await settle(model, real);
  }
  toString = () => this.kind;
}

class Release implements PoolCommand {
  readonly which: number;
  readonly how: 'plain' | 'true' | 'error';
  constructor(which: number, how: Release['how']) {
    this.which = which;
    this.how = how;
  }
  check = (model: Model) => inHand(model).length > 0;
  async run(model: Model, real: Real): Promise<void> {
    const call = pick(inHand(model), this.which);
    call.client?.release(this.how === 'plain' ? undefined : this.how === 'true' ? true : new Error('unwanted'));
    call.state = 'over';
    if (this.how !== 'plain') {
      await until(`the connection of call ${call.number} is closed`, () => real.gone.has(call.session));
    }
    await settle(model, real);
  }
  toString = () => `release ${this.which} (${this.how})`;
}

class GiveUp implements PoolCommand {
  readonly which: number;
  constructor(which: number) {
    this.which = which;
  }
  check = (model: Model) => impatient(model).length > 0;
  async run(model: Model, real: Real): Promise<void> {
    const call = pick(impatient(model), this.which);
    const reason = new Error('waited long enough');
    call.patience.abort(reason);
    await until(`call ${call.number} is told that it gave up`, () => call.answers > 0);
    expect(call.error).toBe(reason);
    call.state = 'over';
    await settle(model, real);
  }
  toString = () => `give up ${this.which}`;
}

const impatient = (model: Model) => waiting(model).filter(({ kind }) => kind === 'transaction');

class Answer implements PoolCommand {
  readonly which: number;
  constructor(which: number) {
    this.which = which;
  }
  check = (model: Model) => heldQueries(model).length > 0;
  async run(model: Model, real: Real): Promise<void> {
    const call = pick(heldQueries(model), this.which);
    real.servers.held.get(`hold ${call.number}`)?.answer();
    await until(`call ${call.number} has its answer`, () => call.answers > 0);
    expect(call.error).toBeUndefined();
    call.state = 'over';
    await settle(model, real);
  }
  toString = () => `answer ${this.which}`;
}

const heldQueries = (model: Model) => holding(model).filter(({ kind }) => kind === 'held query');

export class Switch implements PoolCommand {
  check = () => true;
  async run(model: Model, real: Real): Promise<void> {
    const { pool, source, servers, gone } = real;
    // A pool that knows no target yet does not switch, and a server that refuses is not moved to for sure.
    if (pool.status().target === undefined || servers.refusing[other(model.place)]) return;
    servers.switches += 1;
    const place = other(model.place);
    servers.switchedTo[place] = servers.switches;
    servers.current = place;
    source.set(hostOf(place));
    await until(`the pool is at the ${place}`, () => pool.status().target?.externalName === hostOf(place));
    model.place = place;
    model.epoch += 1;
    // Never more than max drain, and those that drain longest are cut for it. Who has nothing under way is told at once.
    const excess = Math.max(0, draining(model).length - max);
    for (const call of draining(model)) {
      if (call.kind !== 'connect' || call.inTransaction) continue;
      await until(`call ${call.number} is retired`, () => gone.has(call.session));
      call.lost = true;
    }
    const isCut = ({ session }: Call) => gone.has(session);
    await until('as many drain as are left', () => {
      return draining(model).filter((call) => !isCut(call)).length === pool.status().draining;
    });
    const cut = draining(model).filter(isCut);
    expect(cut.length).toBeLessThanOrEqual(excess);
    for (const call of cut) await lose(call);
    const longest = Math.min(...draining(model).map((call) => call.epoch));
    for (const call of cut) expect(call.epoch).toBeLessThanOrEqual(longest);
    await settle(model, real);
  }
  toString = () => 'switch';
}

async function lose(call: Call): Promise<void> {
  call.lost = true;
  if (call.kind !== 'held query') return;
  await until(`call ${call.number} has failed`, () => call.answers > 0);
  expect(call.error).toMatchObject({ outcome: 'unknown' });
  call.state = 'over';
}

export class Kill implements PoolCommand {
  readonly which: number;
  readonly politely: boolean;
  constructor(which: number, politely: boolean) {
    this.which = which;
    this.politely = politely;
  }
  check = () => true;
  async run(model: Model, real: Real): Promise<void> {
    const { servers, gone } = real;
    const sessions = [...servers.open.values()];
    if (sessions.length === 0) return;
    const session = pick(sessions, this.which);
    servers.kill(session, this.politely);
    await until(`session ${session.id} is gone`, () => gone.has(session.id));
    for (const call of holding(model)) if (call.session === session.id) await lose(call);
    await settle(model, real);
  }
  toString = () => `${this.politely ? 'terminate' : 'kill'} ${this.which}`;
}

export class Refuse implements PoolCommand {
  readonly place: Place;
  constructor(place: Place) {
    this.place = place;
  }
  check = () => true;
  async run(model: Model, real: Real): Promise<void> {
    real.servers.refusing[this.place] = !real.servers.refusing[this.place];
    await settle(model, real);
  }
  toString = () => `the ${this.place} refuses, or no longer`;
}

export class Transaction implements PoolCommand {
  readonly which: number;
  constructor(which: number) {
    this.which = which;
  }
  check = (model: Model) => usable(model).length > 0;
  async run(model: Model, real: Real): Promise<void> {
    const call = pick(usable(model), this.which);
    const { client } = call;
    if (client === undefined) throw new Error('held without a client');
    await settled('the transaction begins or ends', client.query(call.inTransaction ? 'COMMIT' : 'BEGIN'));
    call.inTransaction = !call.inTransaction;
    if (call.epoch !== model.epoch) {
      await until(`call ${call.number} is retired`, () => real.gone.has(call.session));
      call.lost = true;
    }
    await settle(model, real);
  }
  toString = () => `begin or commit ${this.which}`;
}

const usable = (model: Model) => holding(model).filter(({ kind }) => kind === 'connect');

function pick<T>(among: readonly T[], which: number): T {
  const found = among[which % among.length];
  if (found === undefined) throw new Error('nothing to pick from');
  return found;
}

/** Gives everything back, ends the pool, and looks for what is left. */
async function finish(model: Model, real: Real): Promise<void> {
  const { pool, servers } = real;
  servers.serve();
  while (model.calls.some(({ state }) => state !== 'over')) {
    await settle(model, real);
    for (const call of model.calls.filter(({ state }) => state === 'holding')) {
      if (call.kind === 'connect') call.client?.release();
      else servers.held.get(`hold ${call.number}`)?.answer();
      await until(`call ${call.number} is answered`, () => call.answers > 0);
      call.state = 'over';
    }
  }
  await settle(model, real);
  await settled('the pool has ended', pool.end());
  await until('no session is left on either server', () => servers.open.size === 0);
  expect([pool.totalCount, pool.idleCount, pool.waitingCount]).toEqual([0, 0, 0]);
  expect(model.calls.map(({ answers }) => answers)).toEqual(model.calls.map(() => 1));
  expect(servers.held.size).toBe(0);
}

// The pauses of an outage pass ten times as fast.
const quickClock: Clock = {
  now: () => systemClock.now() * 10,
  date: () => systemClock.date(),
  schedule: (callback, millis, options) => systemClock.schedule(callback, millis / 10, options),
};

/** To be started and closed by the test. */
export const servers = new Servers();

function start(options: PoolOptions): { model: Model; real: Real } {
  servers.reset();
  const gone = new Set<number>();
  const source = new StaticTargetSource(hostOf('primary'));
  const pool = new Pool(
    {
      ...servers.options(),
      source,
      dns: eachAtItsAddress,
      max,
      liveness: false,
      idleTimeoutMillis: 0,
      reconnectSpreadMillis: 0,
      // Long enough that only what the model does ends anything.
      attemptTimeoutMillis: 600_000,
      failoverTimeoutMillis: 600_000,
      drainTimeoutMillis: 600_000,
      // Longer than a run waits for the end, by the quick clock; the end must come without it. A run that failed is cleaned up by it.
      endTimeoutMillis: 10 * (patienceMillis + 1_000),
      ...options,
    },
    { clock: quickClock, random: () => 0 },
  );
  pool.on('error', () => undefined);
  pool.on('connect', (client) => {
    const id = processIdOf(client);
    (client as unknown as pg.Client).once('end', () => gone.add(id));
  });
  return {
    model: { place: 'primary', epoch: 0, calls: [], made: 0 },
    real: { pool, source, servers, gone },
  };
}

const eachAtItsAddress: Resolver = {
  resolve: async (name) => ({
    name,
    chain: [],
    canonicalName: name,
    addresses: [{ address: addresses[name.startsWith('primary') ? 'primary' : 'secondary'], family: 4, ttlSeconds: 1 }],
    expiresAt: Number.POSITIVE_INFINITY,
    stale: false,
  }),
  close: async () => undefined,
  [Symbol.asyncDispose]: async () => undefined,
};

/** Asks all that of a new pool, and then for the end. */
export async function play(options: PoolOptions, sequence: Iterable<PoolCommand>): Promise<void> {
  const { model, real } = start(options);
  try {
    await fc.asyncModelRun(() => ({ model, real }), sequence);
    await finish(model, real);
  } finally {
    for (const { answer } of servers.held.values()) answer();
    for (const session of servers.open.values()) servers.kill(session, false);
    if (!real.pool.ending) {
      for (const call of inHand(model)) call.client?.release(true);
      await real.pool.end();
    }
  }
}

const which = fc.nat(5);
const commands = [
  fc.constant(new Ask('connect')),
  fc
    .constantFrom<Call['kind']>('connect', 'query', 'failing query', 'held query', 'transaction')
    .map((kind) => new Ask(kind)),
  fc.tuple(which, fc.constantFrom<Release['how']>('plain', 'true', 'error')).map((each) => new Release(...each)),
  which.map((each) => new GiveUp(each)),
  which.map((each) => new Answer(each)),
  fc.constant(new Switch()),
  fc.tuple(which, fc.boolean()).map((each) => new Kill(...each)),
  fc.constantFrom<Place>('primary', 'secondary').map((place) => new Refuse(place)),
  which.map((each) => new Transaction(each)),
];

/** Plays so many sequences, all different, unless `POOL_MODEL_RUNS` says how many. */
export async function playAny(options: PoolOptions, usualRuns: number): Promise<void> {
  const runs = Number(process.env['POOL_MODEL_RUNS'] ?? usualRuns);
  const seed = process.env['POOL_MODEL_SEED'];
  let last = Promise.resolve();
  const playNext = (sequence: Iterable<PoolCommand>) => {
    last = play(options, sequence);
    return last;
  };
  try {
    await fc.assert(fc.asyncProperty(fc.commands(commands, { maxCommands: 60, size: 'max' }), playNext), {
      numRuns: runs,
      interruptAfterTimeLimit: runs * longestRunMillis,
      ...(seed === undefined ? {} : { seed: Number(seed) }),
    });
  } catch (error) {
    await last.catch(() => undefined);
    throw error;
  }
  // The one in progress when the time was up is not waited for by fast-check, and would go on with the servers of the next test.
  await last;
}

/** The pools that the model is compared with. */
export const pools: readonly [string, PoolOptions][] = [
  ['a pool', { pipelining: 0, statementCache: 0 }],
  ['a pool that pipelines', { pipelining: 4, statementCache: 5 }],
];

/** A property may take long, above all to find the shortest sequence that shows a failure. */
export const longestPropertyMillis = 3_600_000;
