import type { Socket } from 'node:net';
import type { Clock, Timer } from '@externalname/core';
import { type CutMethod, type LaneFaults, noLaneFaults } from './connection-faults.ts';

/** One direction of a connection: reads from one socket and writes to the other, in order. */
export class Lane {
  bytes = 0;
  faults: LaneFaults = noLaneFaults;
  readonly #source: Socket;
  readonly #sink: Socket;
  readonly #clock: Clock;
  readonly #cut: (by: CutMethod) => void;
  readonly #waiting: { readonly due: number; data: Buffer | 'end' }[] = [];
  #waitingBytes = 0;
  #blocked = false;
  /** When a throttled lane will have passed on all bytes so far, at its rate. */
  #freeAt = 0;
  #timer: Timer | undefined;
  #stopped = false;

  constructor(source: Socket, sink: Socket, clock: Clock, cut: (by: CutMethod) => void) {
    this.#source = source;
    this.#sink = sink;
    this.#clock = clock;
    this.#cut = cut;
    source.on('data', (data: Buffer) => this.#take(data));
    source.on('end', () => this.#take('end'));
    sink.on('drain', () => {
      this.#blocked = false;
      this.#handOn();
    });
  }

  follow(faults: LaneFaults): void {
    if (this.#stopped) return;
    if (faults.bytesPerSecond !== this.faults.bytesPerSecond) this.#freeAt = 0;
    this.faults = faults;
    this.#timer?.cancel();
    this.#timer = undefined;
    if (faults.cut !== undefined && this.bytes >= faults.cut.afterBytes) {
      this.#cut(faults.cut.by);
    } else {
      this.#handOn();
    }
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#waiting.length = 0;
  }

  #take(data: Buffer | 'end'): void {
    // After a stop, bytes are read and dropped.
    if (this.#stopped) return;
    this.#waiting.push({ due: this.#clock.now() + this.faults.latencyMillis, data });
    if (data !== 'end') this.#waitingBytes += data.length;
    this.#handOn();
  }

  #handOn(): void {
    while (!this.#stopped && !this.faults.blackHole && !this.#blocked && this.#timer === undefined) {
      const next = this.#waiting[0];
      if (next === undefined) break;
      const now = this.#clock.now();
      // Once a latency ends, waiting bytes are no longer late.
      const wait = Math.max(this.faults.latencyMillis === 0 ? 0 : next.due - now, this.#freeAt - now);
      if (wait > 0) {
        this.#timer = this.#clock.schedule(() => {
          this.#timer = undefined;
          this.#handOn();
        }, wait);
        break;
      }
      if (next.data === 'end') {
        this.#waiting.shift();
        this.#sink.end();
        continue;
      }
      const { bytesPerSecond } = this.faults;
      const portion = next.data.subarray(0, Math.max(1, Math.floor((bytesPerSecond * throttleStepMillis) / 1000)));
      if (portion.length === next.data.length) this.#waiting.shift();
      else next.data = next.data.subarray(portion.length);
      this.#waitingBytes -= portion.length;
      // A timer that fires late may catch up by one step, so that the rate holds.
      this.#freeAt = Math.max(this.#freeAt, now - throttleStepMillis) + (portion.length / bytesPerSecond) * 1000;
      this.#write(portion);
    }
    if (this.#stopped) return;
    // If the source is not read, its buffers fill, as they would with a network that accepts nothing.
    if (this.faults.blackHole || this.#blocked || this.#waitingBytes > mostWaitingBytes) this.#source.pause();
    else this.#source.resume();
  }

  #write(data: Buffer): void {
    const { cut } = this.faults;
    const left = cut === undefined ? Number.POSITIVE_INFINITY : cut.afterBytes - this.bytes;
    if (cut === undefined || data.length < left) {
      this.bytes += data.length;
      this.#blocked = !this.#sink.write(data);
      return;
    }
    this.bytes += left;
    this.#stopped = true;
    // The last bytes must be written first, or the reset overtakes them.
    if (left === 0) this.#cut(cut.by);
    else this.#sink.write(data.subarray(0, left), () => this.#cut(cut.by));
  }
}

const mostWaitingBytes = 1024 * 1024;
// Short enough that bytes flow evenly, long enough that a timer keeps to it.
const throttleStepMillis = 20;
