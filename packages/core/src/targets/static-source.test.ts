import { describe, expect, it } from 'vitest';
import {
  checkTargetSource,
  type TargetSourceHarness,
  targetSourceContract,
} from '../../test/support/target-source-contract.ts';
import { type TargetChangedEvent, targetChanged } from '../events/index.ts';
import { StaticTargetSource } from './static-source.ts';

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

describe('a static source', () => {
  const make = (): TargetSourceHarness => {
    const source = new StaticTargetSource('primary-db.example.com');
    return { source, change: (externalName) => source.set(externalName), settle: turn };
  };

  for (const { promise, check } of targetSourceContract.filter(({ needsFailure }) => !needsFailure)) {
    it(promise, () => checkTargetSource(check, make));
  }

  it('names the host that it was given, in canonical form', async () => {
    await expect(new StaticTargetSource('Primary-DB.Example.com.').current()).resolves.toMatchObject({
      externalName: 'primary-db.example.com',
      via: [],
      source: 'static',
      stale: false,
    });
  });

  it.each(['127.0.0.1', '::1', 'localhost'])('may name %s', async (host) => {
    await expect(new StaticTargetSource(host).current()).resolves.toMatchObject({ externalName: host });
  });

  it.each(['', 'a b', 'a..b', 'postgres://db.example.com'])('refuses %j', (host) => {
    const source = new StaticTargetSource('db.example.com');
    const refusal = expect.objectContaining({ code: 'ERR_EXTERNALNAME_INVALID_ARGUMENT', argument: 'host' });
    expect(() => new StaticTargetSource(host)).toThrow(refusal);
    expect(() => source.set(host)).toThrow(refusal);
  });

  it('publishes a switch, and nothing where the same host is set again', async () => {
    const events: TargetChangedEvent[] = [];
    const stop = targetChanged.subscribe((event) => events.push(event));
    const source = new StaticTargetSource('primary-db.example.com');
    source.set('PRIMARY-db.example.com');
    source.set('secondary-db.example.com');
    stop();
    const { version } = await source.current();
    expect(events).toEqual([
      {
        name: 'secondary-db.example.com',
        target: 'secondary-db.example.com',
        previous: 'primary-db.example.com',
        via: [],
        source: 'static',
        version,
      },
    ]);
  });

  it('takes no other host once it is closed', async () => {
    const source = new StaticTargetSource('db.example.com');
    await source.close();
    expect(() => source.set('other.example.com')).toThrow(expect.objectContaining({ code: 'ERR_EXTERNALNAME_CLOSED' }));
  });
});
