import { connect, type Socket } from 'node:net';
import type { Clock } from '@externalname/core';
import { reset } from '../reset.ts';
import {
  type CutMethod,
  checkSide,
  directions,
  type FaultDirection,
  type FaultSide,
  Faults,
  noFaults,
  type Plan,
} from './connection-faults.ts';
import { Lane } from './lane.ts';

/** Where a {@link FaultProxy} sends connections to. */
export interface ProxyTarget {
  /** Host name or address. */
  readonly host: string;
  /** The port of the server. */
  readonly port: number;
}

/** One connection through a {@link FaultProxy}, with faults of its own. */
export class ProxiedConnection extends Faults {
  /** Port that the client connected from, different for each connection. */
  readonly clientPort: number;
  readonly #client: Socket;
  readonly #server: Socket;
  readonly #lanes: { readonly [D in FaultDirection]: Lane };
  readonly #onClosed: () => void;
  #state: 'open' | 'half-open' | 'closed' = 'open';

  /** @internal */
  constructor(client: Socket, target: ProxyTarget, clock: Clock, onClosed: () => void) {
    super();
    this.#client = client;
    this.#onClosed = onClosed;
    this.clientPort = client.remotePort ?? 0;
    this.#server = connect({ host: target.host, port: target.port, allowHalfOpen: true, noDelay: true });
    client.setNoDelay(true);
    const cut = (by: CutMethod) => this.#cut(by);
    this.#lanes = {
      'to-server': new Lane(client, this.#server, clock, cut),
      'to-client': new Lane(this.#server, client, clock, cut),
    };
    const ends = [
      { socket: client, other: this.#server },
      { socket: this.#server, other: client },
    ];
    for (const { socket, other } of ends) {
      socket.on('error', () => {
        // The client is already connected to this proxy, so an unreachable server looks like a reset to it.
        if (this.#state === 'open') this.#settle(() => reset(other));
      });
    }
    const closed = ends.map(({ socket }) => new Promise<void>((resolve) => socket.once('close', () => resolve())));
    this.closed = Promise.all(closed).then(() => this.#settle(ignore));
  }

  /** Resolves when both sockets are gone. @internal */
  readonly closed: Promise<void>;

  /** Applies the faults that the proxy has planned. @internal */
  follow(plan: Plan): void {
    for (const direction of directions) this.#lanes[direction].follow(plan[direction]);
  }

  /** Bytes passed on in one direction so far. */
  bytes(direction: FaultDirection): number {
    return this.#lanes[direction].bytes;
  }

  /** Whether both ends are still open and joined. */
  isOpen(): boolean {
    return this.#state === 'open';
  }

  /** Resets both ends. */
  override reset(): void {
    this.#cut('reset');
  }

  /** Ends the connection of one side without telling the other. */
  override halfOpen(side: FaultSide): void {
    checkSide(side);
    if (this.#state !== 'open') return;
    this.#state = 'half-open';
    const [gone, left] = side === 'server' ? [this.#server, this.#client] : [this.#client, this.#server];
    for (const direction of directions) this.#lanes[direction].stop();
    gone.destroy();
    left.resume();
  }

  /** Ends the connection's faults. If it was cut, it stays cut. */
  override heal(): void {
    this.change(() => noFaults());
  }

  /** Applies a change of the plan. @internal */
  override change(next: (plan: Plan) => Plan): void {
    this.follow(
      next({
        resetNew: false,
        'to-server': this.#lanes['to-server'].faults,
        'to-client': this.#lanes['to-client'].faults,
      }),
    );
  }

  /** Ends both sides at once. @internal */
  destroy(): void {
    this.#settle(() => undefined);
    // A frozen server never answers an end that was passed on to it.
    for (const socket of [this.#client, this.#server]) socket.destroy();
  }

  #cut(by: CutMethod): void {
    if (this.#state === 'closed') return;
    if (by === 'reset') {
      this.#settle(() => {
        for (const socket of [this.#client, this.#server]) reset(socket);
      });
      return;
    }
    this.#state = 'half-open';
    for (const direction of directions) this.#lanes[direction].stop();
    for (const socket of [this.#client, this.#server]) {
      if (by === 'end') socket.end();
      // Later bytes are read and dropped, because a socket that closes with unread bytes sends a reset.
      socket.resume();
    }
  }

  #settle(end: () => void): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    for (const direction of directions) this.#lanes[direction].stop();
    end();
    for (const socket of [this.#client, this.#server]) if (!socket.destroyed && !socket.writableEnded) socket.destroy();
    this.#onClosed();
  }
}

function ignore(): void {}
