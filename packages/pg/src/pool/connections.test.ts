import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Epochs } from './connections.ts';

interface Connection {
  readonly name: number;
}

let made = 0;
const connection = (): Connection => ({ name: made++ });

describe('the connections of a pool', () => {
  it('are lent last in, first out', () => {
    const epochs = new Epochs<Connection>(2);
    const [first, second] = [connection(), connection()];
    for (const each of [first, second]) epochs.admit(each, 0);
    epochs.giveBack(first);
    epochs.giveBack(second);
    expect(epochs.borrow()).toBe(second);
    expect(epochs.borrow()).toBe(first);
    expect(epochs.borrow()).toBeUndefined();
  });

  it('are parted by a new target: idle ones end, busy ones drain, and neither counts', () => {
    const epochs = new Epochs<Connection>(2);
    const [idle, busy] = [connection(), connection()];
    for (const each of [idle, busy]) epochs.admit(each, 0);
    epochs.giveBack(idle);
    expect(epochs.advance()).toEqual({ idle: [idle], draining: [busy], cut: [] });
    expect([epochs.total, epochs.idleCount, epochs.drainingCount]).toEqual([0, 0, 1]);
    expect(epochs.giveBack(busy)).toBe(false);
    expect(epochs.drop(busy)).toBe('draining');
    expect(epochs.drainingCount).toBe(0);
  });

  it('are not taken up when they were made for a target that was left meanwhile', () => {
    const epochs = new Epochs<Connection>(2);
    epochs.advance();
    expect(epochs.admit(connection(), 0)).toBe(false);
    expect(epochs.total).toBe(0);
  });

  it('are never more than twice max: the ones that drain longest are cut', () => {
    const epochs = new Epochs<Connection>(1);
    const [first, second] = [connection(), connection()];
    epochs.admit(first, 0);
    epochs.advance();
    epochs.admit(second, 1);
    expect(epochs.advance()).toEqual({ idle: [], draining: [second], cut: [first] });
  });
});

// A simple model: for each connection, the epoch it belongs to and whether it is out.
interface Model {
  epoch: number;
  readonly out: Map<Connection, number>;
  idle: Connection[];
}

const max = 3;

class Admit implements fc.Command<Model, Epochs<Connection>> {
  readonly late: boolean;
  constructor(late: boolean) {
    this.late = late;
  }
  check = (model: Model) =>
    [...model.out.values()].filter((epoch) => epoch === model.epoch).length + model.idle.length < max;
  run(model: Model, epochs: Epochs<Connection>): void {
    const made = connection();
    const epoch = this.late ? model.epoch - 1 : model.epoch;
    expect(epochs.admit(made, epoch)).toBe(!this.late);
    if (!this.late) model.out.set(made, epoch);
  }
  toString = () => (this.late ? 'a connection comes late' : 'a connection comes');
}

class Borrow implements fc.Command<Model, Epochs<Connection>> {
  check = () => true;
  run(model: Model, epochs: Epochs<Connection>): void {
    const expected = model.idle.pop();
    expect(epochs.borrow()).toBe(expected);
    if (expected !== undefined) model.out.set(expected, model.epoch);
  }
  toString = () => 'borrow';
}

class End implements fc.Command<Model, Epochs<Connection>> {
  readonly which: number;
  readonly drop: boolean;
  constructor(which: number, drop: boolean) {
    this.which = which;
    this.drop = drop;
  }
  check = (model: Model) => model.out.size > 0;
  run(model: Model, epochs: Epochs<Connection>): void {
    const entries = [...model.out];
    const entry = entries[this.which % entries.length];
    if (entry === undefined) return;
    const [which, epoch] = entry;
    const current = epoch === model.epoch;
    model.out.delete(which);
    if (this.drop) {
      expect(epochs.drop(which)).toBe(current ? 'current' : 'draining');
    } else {
      expect(epochs.giveBack(which)).toBe(current);
      if (current) model.idle.push(which);
      else expect(epochs.drop(which)).toBe('draining');
    }
  }
  toString = () => (this.drop ? `drop ${this.which}` : `give back ${this.which}`);
}

class Switch implements fc.Command<Model, Epochs<Connection>> {
  check = () => true;
  run(model: Model, epochs: Epochs<Connection>): void {
    const retirement = epochs.advance();
    expect(retirement.idle).toEqual(model.idle);
    model.idle = [];
    model.epoch += 1;
    for (const each of retirement.cut) model.out.delete(each);
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
        const real = new Epochs<Connection>(max);
        const model: Model = { epoch: 0, out: new Map(), idle: [] };
        fc.modelRun(() => ({ model, real }), sequence);
        const current = [...model.out].filter(([, epoch]) => epoch === model.epoch).map(([each]) => each);
        const draining = model.out.size - current.length;
        expect(real.number).toBe(model.epoch);
        expect(real.total).toBe(current.length + model.idle.length);
        expect(real.drainingCount).toBe(draining);
        expect(real.total).toBeLessThanOrEqual(max);
        expect(real.total + real.drainingCount).toBeLessThanOrEqual(2 * max);
        for (const [each, epoch] of model.out) {
          expect(real.isCurrent(each)).toBe(epoch === model.epoch);
          expect(real.isDraining(each)).toBe(epoch !== model.epoch);
        }
      }),
      { numRuns: 500 },
    );
  });
});
