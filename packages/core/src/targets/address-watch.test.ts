import { describe, expect, it } from 'vitest';
import { ManualClock } from '../../test/support/manual-clock.ts';
import type { Resolution, ResolvedAddress, ResolveOptions, Resolver } from '../dns/index.ts';
import { ResolutionError } from '../dns/index.ts';
import { backgroundFailed } from '../events/index.ts';
import { AddressWatch } from './address-watch.ts';

const name = 'primary-db.example.com';

/** What a DNS server says: addresses, none, or nothing at all. */
type Said = readonly string[] | 'silence';

/** Nameservers that answer as they are told, a watch that asks them, and a user with connections. */
class World implements Resolver {
  readonly clock = new ManualClock();
  readonly watch = new AddressWatch(name, this, this.clock);
  servers: (() => Said)[];
  ttlSeconds = 1;
  inUse = new Set(['10.0.0.1']);
  questions = 0;
  readonly left: string[] = [];
  readonly leave: () => void;

  constructor(...servers: (readonly string[])[]) {
    this.servers = servers.map((said) => () => said);
    this.leave = this.watch.join({
      inUse: () => this.inUse,
      left: (addresses) => this.left.push(...addresses),
    });
  }

  /** All servers say so from now on. */
  say(...addresses: readonly string[]): void {
    this.servers = this.servers.map(() => () => addresses);
  }

  /** Whether the address is told of within the time. */
  async leaves(address: string, millis = 20_000): Promise<boolean> {
    await this.clock.advance(millis);
    return this.left.includes(address);
  }

  async resolve(_name: string, { family = 0 }: ResolveOptions = {}): Promise<Resolution> {
    this.questions += 1;
    const said = this.servers.map((server) => server()).find((each) => each !== 'silence');
    if (said === undefined) throw new ResolutionError('unavailable', name);
    const addresses = this.#records(said, family);
    if (addresses.length === 0) throw new ResolutionError('no-address', name);
    const expiresAt = this.clock.now() + this.ttlSeconds * 1000;
    return { name, chain: [], canonicalName: name, addresses, expiresAt, stale: false };
  }

  async resolveAtEach(_name: string, { family = 0 }: ResolveOptions = {}) {
    this.questions += this.servers.length;
    return new Map(
      this.servers.map((server, index) => {
        const said = server();
        return [`10.96.0.${index}:53`, said === 'silence' ? undefined : this.#records(said, family)];
      }),
    );
  }

  async close(): Promise<void> {}

  async [Symbol.asyncDispose](): Promise<void> {}

  #records(addresses: readonly string[], family: 0 | 4 | 6): ResolvedAddress[] {
    return addresses
      .map((address) => ({
        address,
        family: address.includes(':') ? (6 as const) : (4 as const),
        ttlSeconds: this.ttlSeconds,
      }))
      .filter((each) => family === 0 || each.family === family);
  }
}

describe('an address that has left its name', () => {
  it('is told of within three answers and a proof, after ten that named it', async () => {
    const world = new World(['10.0.0.1']);
    await world.clock.advance(15_000);
    world.say('10.0.0.2');
    expect(await world.leaves('10.0.0.1', 5_000)).toBe(true);
    expect(new Set(world.left)).toEqual(new Set(['10.0.0.1']));
  });

  it('is told of where it had been named once only, if later', async () => {
    const world = new World(['10.0.0.1']);
    await world.clock.advance(1_100);
    world.say('10.0.0.2');
    expect(await world.leaves('10.0.0.1', 4_000)).toBe(false);
    expect(await world.leaves('10.0.0.1', 8_000)).toBe(true);
  });

  it('is told of again for as long as it is in use, and not once it is named again', async () => {
    const world = new World(['10.0.0.1']);
    await world.clock.advance(15_000);
    world.say('10.0.0.2');
    await world.clock.advance(10_000);
    const told = world.left.length;
    expect(told).toBeGreaterThan(1);
    world.say('10.0.0.1', '10.0.0.2');
    await world.clock.advance(2_000);
    world.left.length = 0;
    await world.clock.advance(10_000);
    expect(world.left).toEqual([]);
  });

  it('is told to each user, though another one throws', async () => {
    const world = new World(['10.0.0.1']);
    const failures: unknown[] = [];
    const stop = backgroundFailed.subscribe(({ error }) => failures.push(error));
    world.leave();
    world.watch.join({
      inUse: () => ['10.0.0.1'],
      left: () => {
        throw new Error('a mistake of the user');
      },
    });
    const left: string[] = [];
    world.watch.join({ inUse: () => ['10.0.0.1'], left: (addresses) => left.push(...addresses) });
    await world.clock.advance(15_000);
    world.say('10.0.0.2');
    await world.clock.advance(10_000);
    stop();
    expect(left.length).toBeGreaterThan(1);
    expect(failures).toContainEqual(new Error('a mistake of the user'));
  });

  it('by the word of one of two nameservers has not', async () => {
    const world = new World(['10.0.0.1'], ['10.0.0.1']);
    await world.clock.advance(15_000);
    world.servers[0] = () => ['10.0.0.2'];
    expect(await world.leaves('10.0.0.1', 600_000)).toBe(false);
    world.servers[1] = () => ['10.0.0.2'];
    expect(await world.leaves('10.0.0.1', 120_000)).toBe(true);
  });

  it('by the word of one nameserver, where the other is silent, has not', async () => {
    const world = new World(['10.0.0.1'], ['10.0.0.1']);
    await world.clock.advance(15_000);
    world.say('10.0.0.2');
    world.servers[1] = () => 'silence';
    expect(await world.leaves('10.0.0.1', 300_000)).toBe(false);
    world.say('10.0.0.2');
    expect(await world.leaves('10.0.0.1', 70_000)).toBe(true);
  });

  it('by the word of two of three nameservers has', async () => {
    const world = new World(['10.0.0.1'], ['10.0.0.1'], ['10.0.0.1']);
    await world.clock.advance(15_000);
    world.say('10.0.0.2');
    world.servers[2] = () => 'silence';
    expect(await world.leaves('10.0.0.1')).toBe(true);
  });

  it('of a server behind one address that has not heard of it has not', async () => {
    const world = new World(['10.0.0.1']);
    await world.clock.advance(15_000);
    let asked = 0;
    // Every fifth question comes to the one that is behind.
    world.servers = [() => (++asked % 5 === 0 ? ['10.0.0.1'] : ['10.0.0.2'])];
    expect(await world.leaves('10.0.0.1', 300_000)).toBe(false);
  });

  it.each<[string, Said]>([
    ['an empty answer', []],
    ['silence', 'silence'],
  ])('is not told of after %s', async (_what, said) => {
    const world = new World(['10.0.0.1'], ['10.0.0.1']);
    await world.clock.advance(15_000);
    world.servers = world.servers.map(() => () => said);
    expect(await world.leaves('10.0.0.1', 300_000)).toBe(false);
    // Nor if one of the servers says so in the proof.
    world.servers = [() => ['10.0.0.2'], () => said];
    expect(await world.leaves('10.0.0.1', 300_000)).toBe(false);
  });

  it('is not one of a family that the answer has no address of', async () => {
    const world = new World(['10.0.0.1', '2001:db8::1']);
    world.inUse.add('2001:db8::1');
    await world.clock.advance(15_000);
    world.say('10.0.0.2');
    expect(await world.leaves('10.0.0.1')).toBe(true);
    expect(world.left).not.toContain('2001:db8::1');
    world.say('10.0.0.2', '2001:db8::2');
    expect(await world.leaves('2001:db8::1')).toBe(true);
  });

  it('is found with a resolver that cannot ask each server', async () => {
    const world = new World(['10.0.0.1']);
    const plain: Resolver = {
      resolve: (asked, options) => world.resolve(asked, options),
      close: () => world.close(),
      [Symbol.asyncDispose]: () => world.close(),
    };
    const left: string[] = [];
    const watch = new AddressWatch(name, plain, world.clock);
    watch.join({ inUse: () => ['10.0.0.1'], left: (addresses) => left.push(...addresses) });
    await world.clock.advance(15_000);
    world.say('10.0.0.2');
    await world.clock.advance(5_000);
    expect(left).toContain('10.0.0.1');
    await watch.close();
  });
});

describe('a name that rotates', () => {
  it.each<[string, (index: number) => readonly string[]]>([
    ['one of two', (index) => [`10.0.0.${1 + (index % 2)}`]],
    ['one of fifteen', (index) => [`10.0.0.${1 + (index % 15)}`]],
    ['two of three', (index) => [`10.0.0.${1 + (index % 3)}`, `10.0.0.${1 + ((index + 1) % 3)}`]],
  ])('leaves no address: %s', async (_what, next) => {
    const world = new World([]);
    let index = 0;
    world.servers = [() => next(index++)];
    world.inUse = new Set(['10.0.0.1', '10.0.0.2']);
    await world.clock.advance(1_800_000);
    expect(world.left).toEqual([]);
  });

  it('is not asked for more often than another one', async () => {
    const world = new World([]);
    world.ttlSeconds = 30;
    let index = 0;
    world.servers = [() => [`10.0.0.${1 + (index++ % 2)}`]];
    await world.clock.advance(120_000);
    world.questions = 0;
    await world.clock.advance(600_000);
    expect(world.questions).toBeLessThanOrEqual(20);
  });
});

describe('what it costs', () => {
  it('is one question a TTL, and none while no address is in use', async () => {
    const world = new World(['10.0.0.1']);
    world.ttlSeconds = 30;
    await world.clock.advance(600_000);
    expect(world.questions).toBeLessThanOrEqual(20);
    world.inUse.clear();
    await world.clock.advance(60_000);
    const before = world.questions;
    await world.clock.advance(600_000);
    expect(world.questions).toBe(before);
  });

  it('is nothing once the last user has left', async () => {
    const world = new World(['10.0.0.1']);
    await world.clock.advance(5_000);
    world.leave();
    expect(world.clock.pending).toBe(0);
    const before = world.questions;
    await world.clock.advance(60_000);
    expect(world.questions).toBe(before);
    await world.watch.close();
    expect(() => world.watch.join({ inUse: () => [], left: () => undefined })).toThrow(
      expect.objectContaining({ code: 'ERR_EXTERNALNAME_CLOSED' }),
    );
  });
});
