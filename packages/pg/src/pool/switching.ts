import { onAbort } from '@externalname/core/internal';
import { hasWork } from '../driver/client-internals.ts';
import { TargetRetiredError } from '../errors.ts';
import { drained } from '../events.ts';
import type { ConnectionFactory, MadeConnection } from '../failover/connection-factory.ts';
import { type SwitchedTarget, tellSwitched } from '../failover/service-connections.ts';
import { classifyFailure } from '../failures/classify.ts';
import { type AdoptionParts, adoptIdle } from './adoption.ts';

/** What {@link Switching} needs. */
export interface SwitchingParts extends AdoptionParts {
  readonly factory: ConnectionFactory;
}

/**
 * What a switch does to the connections: idle ones are closed, busy ones drain, and the one that proved the new target
 * is the first to be handed out.
 */
export class Switching {
  readonly #parts: SwitchingParts;
  /** When the last switch began; `undefined` once all is drained. */
  #beganAt: number | undefined;
  #first: Promise<void> | undefined;
  readonly #waiters = new Set<() => void>();

  constructor(parts: SwitchingParts) {
    this.#parts = parts;
  }

  /** The preparation of the first connection of the current epoch, while it goes on. */
  get first(): Promise<void> | undefined {
    return this.#first;
  }

  switchTo(to: SwitchedTarget): void {
    const { settings, clock, connections } = this.#parts;
    const { previous, first } = to;
    const { idle, draining, cut } = connections.advance(to.epoch);
    this.#beganAt = clock.now();
    this.#first = undefined;
    tellSwitched(settings.name, to, idle.length, draining.length);
    if (first !== undefined) this.#prepareFirst(first);
    // After the callers who were held for the switch have sent what they want: a goodbye wakes a process of the server that is left.
    if (idle.length > 0)
      setImmediate(() => {
        for (const connection of idle) connection.close();
      });
    for (const connection of draining) connection.retire(previous, settings.drainTimeoutMillis);
    for (const connection of cut) {
      const left = connection.endpoint?.target ?? previous;
      const outcome = hasWork(connection.client) ? 'unknown' : 'not-executed';
      connection.destroy(new TargetRetiredError(left.externalName, outcome));
    }
  }

  /**
   * Resolves when no connection to an earlier target is left, and the pool is not about to move to another target.
   *
   * @throws the reason of `signal` when that fires
   */
  drained(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(signal.reason);
        return;
      }
      if (this.#isDrained()) {
        resolve();
        return;
      }
      const abort = () => {
        this.#waiters.delete(tell);
        reject(signal?.reason);
      };
      const tell = () => {
        this.#waiters.delete(tell);
        stopListening?.();
        resolve();
      };
      this.#waiters.add(tell);
      const stopListening = signal && onAbort(signal, abort);
    });
  }

  /** A connection or a candidate is gone: tells waiting callers if no connection to an earlier target is left. */
  check(): void {
    if (!this.#isDrained()) return;
    const { factory, settings, clock, connections } = this.#parts;
    const { target } = factory;
    if (this.#beganAt !== undefined && target !== undefined) {
      const durationMillis = clock.now() - this.#beganAt;
      const epoch = connections.epoch.number;
      this.#beganAt = undefined;
      drained.publish(() => ({ name: settings.name, to: target.externalName, epoch, durationMillis }));
    }
    for (const tell of [...this.#waiters]) tell();
  }

  #isDrained(): boolean {
    return this.#parts.connections.drainingCount === 0 && this.#parts.factory.candidate === undefined;
  }

  #prepareFirst(made: MadeConnection): void {
    const { factory } = this.#parts;
    const over = () => {
      if (this.#first === first) this.#first = undefined;
    };
    const first = adoptIdle(this.#parts, made).then(over, (error: unknown) => {
      over();
      if (classifyFailure(error, 'connected').condemnsServer) factory.suspect(error, made.endpoint);
    });
    this.#first = first;
  }
}
