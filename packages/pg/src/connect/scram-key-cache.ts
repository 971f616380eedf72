import { createHmac, randomBytes } from 'node:crypto';
import { deriveKeys, type ScramChallenge, type ScramKeys } from './scram.ts';

/**
 * Keeps the SCRAM keys of a pool's password, so that a thousand new connections cost one PBKDF2 and not a thousand (RFC 5802
 * section 5.1 has clients do so). A role has one salt, and a standby has the primary's, so a failover costs none either.
 *
 * In memory only. The password is no part of it: keys are found by a keyed digest of password, salt and iterations, whose own
 * key is made anew for each cache, so a changed password never finds the keys of an old one. Neither is a key shown by any
 * inspection, as they are `KeyObject`s. What has not been used for longest goes first.
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

  /** The keys for a password. Those who ask while they are being derived share one derivation. */
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

  /** Forgets all keys and keeps none any more. */
  close(): void {
    this.#closed = true;
    this.#keys.clear();
  }

  #indexOf(password: string, { salt, iterations }: Pick<ScramChallenge, 'salt' | 'iterations'>): string {
    // A salt is base64, so nothing of the one can be taken for a part of the other.
    return createHmac('sha256', this.#indexKey).update(`${iterations},${salt},`).update(password).digest('base64');
  }
}

// A pool has one role, with one salt on each server that was set up by itself. A server that shows another salt each time,
// or a password that changes every hour, must not make it grow.
const usualCapacity = 16;
