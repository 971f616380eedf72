import { createSecretKey, randomBytes } from 'node:crypto';
import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import type { ScramKeys } from './scram.ts';
import { ScramKeyCache } from './scram-key-cache.ts';

/** Derivations that end when the test says so, and what they were asked for. */
function controlledDerivations() {
  const asked: { password: string; salt: string; iterations: number; finish(error?: Error): void }[] = [];
  const derive = (password: string, { salt, iterations }: { salt: string; iterations: number }) =>
    new Promise<ScramKeys>((resolve, reject) => {
      const finish = (error?: Error) => {
        if (error) reject(error);
        else resolve({ clientKey: createSecretKey(randomBytes(32)), serverKey: createSecretKey(randomBytes(32)) });
      };
      asked.push({ password, salt, iterations, finish });
    });
  return { asked, derive };
}

const challenge = { salt: 'c2FsdA==', iterations: 4_096 };

describe('the keys of a password', () => {
  it('are derived once, for any number of callers during and after the derivation', async () => {
    const { asked, derive } = controlledDerivations();
    const cache = new ScramKeyCache({ derive });
    const early = Array.from({ length: 10 }, () => cache.keysOf('pencil', challenge));
    asked[0]?.finish();
    const keys = await Promise.all([...early, cache.keysOf('pencil', challenge)]);
    expect(new Set(keys).size).toBe(1);
    expect(asked).toHaveLength(1);
  });

  it.each([
    ['another password', 'pencils', challenge],
    ['another salt', 'pencil', { ...challenge, salt: 'c2FsdHM=' }],
    ['another number of iterations', 'pencil', { ...challenge, iterations: 4_097 }],
    ['a password that begins as the other ends', 'c2FsdA==,pencil', { ...challenge, salt: 'AAAA' }],
  ])('are not those of %s', async (_, password, other) => {
    const { asked, derive } = controlledDerivations();
    const cache = new ScramKeyCache({ derive });
    const first = cache.keysOf('pencil', challenge);
    const second = cache.keysOf(password, other);
    for (const { finish } of asked) finish();
    expect(await first).not.toBe(await second);
    expect(asked.map((each) => each.password)).toEqual(['pencil', password]);
  });

  it('are derived again if that failed', async () => {
    const { asked, derive } = controlledDerivations();
    const cache = new ScramKeyCache({ derive });
    const failed = cache.keysOf('pencil', challenge);
    asked[0]?.finish(new Error('no memory'));
    await expect(failed).rejects.toThrow('no memory');
    const again = cache.keysOf('pencil', challenge);
    asked[1]?.finish();
    await expect(again).resolves.toBeDefined();
  });

  it('are dropped if there are more than fit, the least recently used first', async () => {
    const { asked, derive } = controlledDerivations();
    const cache = new ScramKeyCache({ derive, capacity: 2 });
    const ask = (salt: string) => cache.keysOf('pencil', { salt, iterations: 1 });
    await Promise.all(
      ['one', 'two', 'one', 'three', 'one', 'two'].map(async (salt) => {
        const keys = ask(salt);
        for (const { finish } of asked) finish();
        await keys;
      }),
    );
    expect(asked.map(({ salt }) => salt)).toEqual(['one', 'two', 'three', 'two']);
  });

  it('are forgotten with the pool, and none is kept after that', async () => {
    const { asked, derive } = controlledDerivations();
    const cache = new ScramKeyCache({ derive });
    const ask = async () => {
      const keys = cache.keysOf('pencil', challenge);
      for (const { finish } of asked) finish();
      return await keys;
    };
    await ask();
    cache.close();
    await ask();
    await ask();
    expect(asked).toHaveLength(3);
  });

  it('show nothing of themselves or of the password, at any depth of inspection', async () => {
    const cache = new ScramKeyCache();
    await cache.keysOf('correct horse', { ...challenge, iterations: 1 });
    const shown = inspect(cache, { depth: 10, showHidden: true, getters: true }) + JSON.stringify(cache);
    expect(shown).toBe('ScramKeyCache {}{}');
  });
});
