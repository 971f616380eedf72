import { describe, expect, it } from 'vitest';
import { ManualClock } from '../../test/support/manual-clock.ts';
import type { Settled } from './cache.ts';
import { type FlightState, Flights, type Launch } from './flights.ts';

/** Launches that land when the test says so. */
function tower() {
  const clock = new ManualClock();
  const flights = new Flights(clock);
  const launched: { state: FlightState; land: (settled: Settled) => void; crash: (error: Error) => void }[] = [];
  const launch: Launch = (state) =>
    new Promise((resolve, reject) => {
      launched.push({ state, land: resolve, crash: reject });
    });
  const send = (index: number) => {
    const flight = launched[index];
    if (flight !== undefined) flight.state.sent = true;
  };
  return { clock, flights, launched, launch, send };
}

const answer = { kind: 'not-found', chain: [], ttlSeconds: 0 } as const;

describe('a plain caller', () => {
  it('shares what is under way for the same name, also after it was sent', async () => {
    const { flights, launched, launch, send } = tower();
    const first = flights.board('db', launch);
    send(0);
    const second = flights.board('db', launch);
    expect([first.shared, second.shared, second.flight === first.flight]).toEqual([false, true, true]);
    expect(flights.board('other', launch).shared).toBe(false);
    expect(launched).toHaveLength(2);
  });

  it('begins again once that has landed, or crashed', async () => {
    const { clock, flights, launched, launch } = tower();
    flights.board('db', launch);
    launched[0]?.land(answer);
    await clock.advance(0);
    expect(flights.has('db')).toBe(false);
    flights.board('db', launch);
    launched[1]?.crash(new Error('closed'));
    await clock.advance(0);
    expect(flights.has('db')).toBe(false);
  });

  it('shares a fresh round under way', () => {
    const { flights, launch } = tower();
    flights.boardFresh('db', launch);
    expect(flights.board('db', launch).shared).toBe(true);
  });
});

describe('a fresh caller', () => {
  it('shares a round that was not sent yet', () => {
    const { flights, launched, launch } = tower();
    for (let call = 0; call < 1000; call++) flights.boardFresh('db', launch);
    expect(launched).toHaveLength(1);
  });

  it('does not share a plain flight, sent or not', () => {
    const { flights, launched, launch } = tower();
    flights.board('db', launch);
    flights.boardFresh('db', launch);
    expect(launched).toHaveLength(2);
  });

  it('waits for the next round where one was sent, with all who come meanwhile', async () => {
    const { clock, flights, launched, launch, send } = tower();
    flights.boardFresh('db', launch);
    send(0);
    const next = flights.boardFresh('db', launch);
    const alike = flights.boardFresh('db', launch);
    expect([next.shared, alike.shared, alike.flight === next.flight]).toEqual([false, true, true]);
    await clock.advance(10);
    expect(launched).toHaveLength(1);
    launched[0]?.land(answer);
    await clock.advance(0);
    expect(launched).toHaveLength(2);
    send(1);
    expect(flights.boardFresh('db', launch).flight).not.toBe(next.flight);
  });

  it('waits for no longer than 100 ms while a server is silent', async () => {
    const { clock, flights, launched, launch, send } = tower();
    flights.boardFresh('db', launch);
    send(0);
    flights.boardFresh('db', launch);
    await clock.advance(99);
    expect(launched).toHaveLength(1);
    await clock.advance(1);
    expect(launched).toHaveLength(2);
  });

  it('leaves nothing behind', async () => {
    const { clock, flights, launched, launch, send } = tower();
    flights.boardFresh('db', launch);
    send(0);
    flights.boardFresh('db', launch);
    launched[0]?.land(answer);
    await clock.advance(0);
    launched[1]?.land(answer);
    await clock.advance(0);
    expect([clock.pending, flights.has('db')]).toEqual([0, false]);
  });
});

describe('an abandoned flight', () => {
  it('is not shared any more, and lands for those who wait', async () => {
    const { flights, launched, launch } = tower();
    const { flight } = flights.board('db', launch);
    flights.abandon();
    expect(flight.obsolete).toBe(true);
    expect(flights.board('db', launch).shared).toBe(false);
    launched[0]?.land(answer);
    expect(await flight.landed).toBe(answer);
  });
});
