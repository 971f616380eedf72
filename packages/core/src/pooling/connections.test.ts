import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Connections, type Epoch } from './connections.ts';

interface Connection {
  readonly name: number;
  readonly epoch: Epoch;
  isOver: boolean;
}

let made = 0;
const connection = (epoch: Epoch): Connection => ({ name: made++, epoch, isOver: false });
const epochOf = (number: number): Epoch => ({ number, over: new AbortController().signal });

describe('the connections of a pool', () => {
  const [zeroth, first] = [epochOf(0), epochOf(1)];

  it('are lent last in, first out', () => {
    const connections = new Connections<Connection>(2, zeroth);
    const [one, other] = [connection(zeroth), connection(zeroth)];
    for (const each of [one, other]) connections.add(each);
    connections.giveBack(one);
    connections.giveBack(other);
    expect(connections.borrow()).toBe(other);
    expect(connections.borrow()).toBe(one);
    expect(connections.borrow()).toBeUndefined();
  });

  it('are separated by a new target: idle ones end, busy ones drain, and neither counts', () => {
    const connections = new Connections<Connection>(2, zeroth);
    const [idle, busy] = [connection(zeroth), connection(zeroth)];
    for (const each of [idle, busy]) connections.add(each);
    connections.giveBack(idle);
    expect(connections.advance(first)).toEqual({ idle: [idle], draining: [busy], cut: [] });
    expect([connections.total, connections.idleCount, connections.drainingCount]).toEqual([0, 0, 1]);
    expect(connections.giveBack(busy)).toBe(false);
    expect(connections.drop(busy)).toBe('draining');
    expect(connections.drainingCount).toBe(0);
  });

  it('that lead to an address which its name has left drain, and do not count', () => {
    const connections = new Connections<Connection>(2, zeroth);
    const [leaving, staying] = [connection(zeroth), connection(zeroth)];
    for (const each of [leaving, staying]) connections.add(each);
    expect(connections.drain(leaving)).toBe('draining');
    expect([connections.total, connections.drainingCount]).toEqual([1, 1]);
    expect([connections.isCurrent(leaving), connections.isCurrent(staying)]).toEqual([false, true]);
    expect(connections.giveBack(leaving)).toBe(false);
    expect(connections.drop(leaving)).toBe('draining');
    expect([connections.total, connections.drainingCount]).toEqual([1, 0]);
  });

  it('are closed if max of them drain already, and counted once', () => {
    const connections = new Connections<Connection>(1, zeroth);
    const [one, other] = [connection(zeroth), connection(zeroth)];
    connections.add(one);
    expect(connections.drain(one)).toBe('draining');
    connections.add(other);
    expect(connections.drain(other)).toBe('cut');
    expect(connections.drop(other)).toBe('current');
    expect([connections.total, connections.drainingCount]).toEqual([0, 1]);
  });

  it('that drain for their address go on draining through a switch', () => {
    const connections = new Connections<Connection>(2, zeroth);
    const one = connection(zeroth);
    connections.add(one);
    connections.drain(one);
    expect(connections.advance(first)).toEqual({ idle: [], draining: [], cut: [] });
    expect(connections.isDraining(one)).toBe(true);
  });

  it('do not count when they were made for a target that was left meanwhile', () => {
    const connections = new Connections<Connection>(2, zeroth);
    connections.advance(first);
    expect(connections.add(connection(zeroth))).toBe(false);
    expect(connections.total).toBe(0);
  });

  it('are of an epoch by identity: one with the same number is another one', () => {
    const connections = new Connections<Connection>(2, zeroth);
    expect(connections.add(connection(epochOf(0)))).toBe(false);
  });

  it('are never more than twice max: the longest draining ones are closed', () => {
    const connections = new Connections<Connection>(1, zeroth);
    const [one, other] = [connection(zeroth), connection(first)];
    connections.add(one);
    connections.advance(first);
    connections.add(other);
    expect(connections.advance(epochOf(2))).toEqual({ idle: [], draining: [other], cut: [one] });
  });

  it('are known until they are closed, and count only until they begin to close', () => {
    const connections = new Connections<Connection>(1, zeroth);
    const one = connection(zeroth);
    connections.add(one);
    expect(connections.drop(one)).toBe('current');
    one.isOver = true;
    expect([connections.total, connections.open().size]).toEqual([0, 1]);
    expect(connections.drop(one)).toBe('unknown');
    expect(connections.giveBack(one)).toBe(false);
    connections.forget(one);
    expect(connections.open().size).toBe(0);
  });
});

// A simple model: for each connection, the epoch it belongs to and whether it is out.
interface Model {
  epoch: Epoch;
  readonly out: Set<Connection>;
  idle: Connection[];
}

const max = 3;

class Admit implements fc.Command<Model, Connections<Connection>> {
  readonly late: boolean;
  constructor(late: boolean) {
    this.late = late;
  }
  check = (model: Model) =>
    [...model.out].filter(({ epoch }) => epoch === model.epoch).length + model.idle.length < max;
  run(model: Model, connections: Connections<Connection>): void {
    const made = connection(this.late ? epochOf(model.epoch.number - 1) : model.epoch);
    expect(connections.add(made)).toBe(!this.late);
    if (this.late) connections.forget(made);
    else model.out.add(made);
  }
  toString = () => (this.late ? 'a connection comes late' : 'a connection comes');
}

class Borrow implements fc.Command<Model, Connections<Connection>> {
  check = () => true;
  run(model: Model, connections: Connections<Connection>): void {
    const expected = model.idle.pop();
    expect(connections.borrow()).toBe(expected);
    if (expected !== undefined) model.out.add(expected);
  }
  toString = () => 'borrow';
}

class End implements fc.Command<Model, Connections<Connection>> {
  readonly which: number;
  readonly drop: boolean;
  constructor(which: number, drop: boolean) {
    this.which = which;
    this.drop = drop;
  }
  check = (model: Model) => model.out.size > 0;
  run(model: Model, connections: Connections<Connection>): void {
    const all = [...model.out];
    const which = all[this.which % all.length];
    if (which === undefined) return;
    const current = which.epoch === model.epoch;
    model.out.delete(which);
    if (!this.drop) {
      expect(connections.giveBack(which)).toBe(current);
      if (current) model.idle.push(which);
    }
    if (this.drop || !current) {
      expect(connections.drop(which)).toBe(current ? 'current' : 'draining');
      which.isOver = true;
      connections.forget(which);
    }
  }
  toString = () => (this.drop ? `drop ${this.which}` : `give back ${this.which}`);
}

class Switch implements fc.Command<Model, Connections<Connection>> {
  check = () => true;
  run(model: Model, connections: Connections<Connection>): void {
    model.epoch = epochOf(model.epoch.number + 1);
    const left = connections.advance(model.epoch);
    expect(left.idle).toEqual(model.idle);
    for (const each of [...left.idle, ...left.cut]) {
      expect(connections.drop(each)).toBe('unknown');
      each.isOver = true;
      connections.forget(each);
    }
    model.idle = [];
    for (const each of left.cut) model.out.delete(each);
  }
  toString = () => 'switch';
}

describe('whatever happens in whatever order', () => {
  it('no connection of an earlier epoch is lent, and max and twice max hold', () => {
    const commands = [
      fc.boolean().map((late) => new Admit(late)),
      fc.constant(new Borrow()),
      fc.tuple(fc.nat(10), fc.boolean()).map(([which, drop]) => new End(which, drop)),
      fc.constant(new Switch()),
    ];
    fc.assert(
      fc.property(fc.commands(commands, { maxCommands: 60 }), (sequence) => {
        const epoch = epochOf(0);
        const real = new Connections<Connection>(max, epoch);
        const model: Model = { epoch, out: new Set(), idle: [] };
        fc.modelRun(() => ({ model, real }), sequence);
        const current = [...model.out].filter((each) => each.epoch === model.epoch);
        const draining = model.out.size - current.length;
        expect(real.epoch).toBe(model.epoch);
        expect(real.open().size).toBe(model.out.size + model.idle.length);
        expect(real.total).toBe(current.length + model.idle.length);
        expect(real.drainingCount).toBe(draining);
        expect(real.total).toBeLessThanOrEqual(max);
        expect(real.total + real.drainingCount).toBeLessThanOrEqual(2 * max);
        for (const each of model.out) {
          expect(real.isCurrent(each)).toBe(each.epoch === model.epoch);
          expect(real.isDraining(each)).toBe(each.epoch !== model.epoch);
        }
      }),
      { numRuns: 500 },
    );
  });
});
