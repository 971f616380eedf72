import type { ServerResponse } from 'node:http';
import type { ApiFaults } from './api-faults.ts';
import type { WatchEvent, WatchOutput } from './watch.ts';

/** One watch that a client has open. */
export class OpenWatch implements WatchOutput {
  readonly #response: ServerResponse;
  readonly #write: (event: WatchEvent) => string;
  readonly #faults: ApiFaults;
  readonly #stops: (() => void)[] = [];
  /** The events that are held back while watches are silent. */
  #unsaid: string[] = [];
  #stopped = false;

  constructor(response: ServerResponse, write: (event: WatchEvent) => string, faults: ApiFaults) {
    this.#response = response;
    this.#write = write;
    this.#faults = faults;
  }

  send(event: WatchEvent): void {
    if (this.#stopped || this.#response.destroyed) return;
    const line = this.#write(event);
    if (this.#faults.current('silent-watches') !== undefined) this.#unsaid.push(line);
    else this.#response.write(line);
  }

  /** Sends the events that were held back. */
  speak(): void {
    const lines = this.#unsaid;
    this.#unsaid = [];
    if (!this.#response.destroyed) for (const line of lines) this.#response.write(line);
  }

  /** Ends the watch as the server does when its time is up. */
  end(): void {
    this.stop();
    if (!this.#response.destroyed) this.#response.end();
  }

  /** Ends the watch as a broken network does. */
  reset(): void {
    this.stop();
    const { socket } = this.#response;
    if (socket !== null) socket.destroy();
  }

  /** Called once, when the watch is over. */
  onStop(callback: () => void): void {
    if (this.#stopped) callback();
    else this.#stops.push(callback);
  }

  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    for (const callback of this.#stops) callback();
  }
}
