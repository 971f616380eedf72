import { createHmac, randomBytes } from 'node:crypto';
import { deriveKeys, type ScramChallenge, type ScramKeys } from './scram.ts';

/**
 * Keeps the SCRAM keys of a pool's password, so that a thousand new connections cost one PBKDF2 instead of a thousand (RFC 5802
 * section 5.1 recommends it). A role has one salt, and a standby has the primary's, so a failover costs none either.
 *
 * In memory only, and without the password: keys are found by a keyed digest of password, salt and iterations. The key of that
 * digest is new for each cache, so a changed password never finds the keys of an old one. Inspection shows no key, because all
 * are `KeyObject`s. The least recently used entry goes first.
 */
export class ScramKeyCache {
  readonly #indexKey = randomBytes(32);
  readonly #keys = new Map<string, Promise<ScramKeys>>();
  readonly #capacity: number;
  readonly #derive: typeof deriveKeys;
  #closed = false;

  constructor({
    capacity = usualCapacity,
    derive = deriveKeys,
  }: { capacity?: number; derive?: typeof deriveKeys } = {}) {
    this.#capacity = capacity;
    this.#derive = derive;
  }

  /** The keys for a password. Concurrent callers share one derivation. */
  keysOf(password: string, challenge: Pick<ScramChallenge, 'salt' | 'iterations'>): Promise<ScramKeys> {
    const index = this.#indexOf(password, challenge);
    const known = this.#keys.get(index);
    if (known !== undefined) {
      this.#keys.delete(index);
      this.#keys.set(index, known);
      return known;
    }
    const keys = this.#derive(password, challenge);
    if (this.#closed) return keys;
    this.#keys.set(index, keys);
    keys.catch(() => {
      if (this.#keys.get(index) === keys) this.#keys.delete(index);
    });
    const [oldest] = this.#keys.keys();
    if (this.#keys.size > this.#capacity && oldest !== undefined) this.#keys.delete(oldest);
    return keys;
  }

  /** Forgets all keys and keeps no new ones. */
  close(): void {
    this.#closed = true;
    this.#keys.clear();
  }

  #indexOf(password: string, { salt, iterations }: Pick<ScramChallenge, 'salt' | 'iterations'>): string {
    // A salt is base64, so the parts cannot run into each other.
    return createHmac('sha256', this.#indexKey).update(`${iterations},${salt},`).update(password).digest('base64');
  }
}

// A pool has one role, with one salt on each server that was set up separately. A server that sends another salt each time,
// or a password that changes every hour, must not make the cache grow.
const usualCapacity = 16;
