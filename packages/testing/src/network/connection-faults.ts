import { checkNumber, checkOptions, oneOf, optional } from '@externalname/core/internal';

/** Which way bytes go through a {@link FaultProxy}. */
export type FaultDirection = 'to-server' | 'to-client';

/** Which end of a connection. */
export type FaultSide = 'server' | 'client';

/** How a connection is cut. */
export type CutMethod =
  /** Both ends get a reset (RST). */
  | 'reset'
  /** Both ends are closed normally (FIN). */
  | 'end'
  /** Neither end is told: nothing more goes through, and the sockets stay open. */
  | 'silence';

/** See {@link FaultProxy.cutAfter}. */
export interface CutOptions {
  /** Which direction's bytes count, from the start of each connection. @defaultValue `to-client` */
  direction?: FaultDirection | undefined;
  /** How the connection is cut. @defaultValue `reset` */
  by?: CutMethod | undefined;
}

/** The faults of one direction. */
export interface LaneFaults {
  readonly blackHole: boolean;
  readonly latencyMillis: number;
  readonly bytesPerSecond: number;
  readonly cut: { readonly afterBytes: number; readonly by: CutMethod } | undefined;
}

/** The faults of a connection, or the faults that new connections will get. */
export interface Plan {
  readonly resetNew: boolean;
  readonly 'to-server': LaneFaults;
  readonly 'to-client': LaneFaults;
}

export const directions = ['to-server', 'to-client'] as const;
const aDirection = optional(oneOf(...directions));
export const noLaneFaults: LaneFaults = {
  blackHole: false,
  latencyMillis: 0,
  bytesPerSecond: Number.POSITIVE_INFINITY,
  cut: undefined,
};

export function noFaults(): Plan {
  return { resetNew: false, 'to-server': noLaneFaults, 'to-client': noLaneFaults };
}

/** Faults of one connection through a {@link FaultProxy}, or of all. */
export abstract class Faults {
  /**
   * Stops passing bytes on. Sockets stay open, and the kernel accepts bytes until its buffers are full. Waiting bytes are passed
   * on after {@link FaultProxy.heal}, as TCP does when a network comes back.
   *
   * @param direction @defaultValue both
   */
  blackHole(direction?: FaultDirection): void {
    this.change((plan) => inLanes(plan, direction, (lane) => ({ ...lane, blackHole: true })));
  }

  /** Delays every byte by this many milliseconds. 0 ends the delay. @param direction @defaultValue both */
  latency(millis: number, direction?: FaultDirection): void {
    checkNumber('millis', millis, { least: 0, most: Number.MAX_SAFE_INTEGER });
    this.change((plan) => inLanes(plan, direction, (lane) => ({ ...lane, latencyMillis: millis })));
  }

  /**
   * Limits each connection to this many bytes per second, at least 1, in each direction. {@link FaultProxy.heal} ends the limit.
   *
   * @param direction @defaultValue both
   */
  throttle(bytesPerSecond: number, direction?: FaultDirection): void {
    checkNumber('bytesPerSecond', bytesPerSecond, { least: 1 });
    this.change((plan) => inLanes(plan, direction, (lane) => ({ ...lane, bytesPerSecond })));
  }

  /**
   * Cuts a connection after exactly this many bytes in one direction, counted since it was opened. If that many have already gone
   * through, the connection is cut at once, so 0 cuts every new connection when it is made.
   */
  cutAfter(bytes: number, options: CutOptions = {}): void {
    checkOptions(options, { direction: aDirection, by: optional(oneOf('reset', 'end', 'silence')) });
    const { direction = 'to-client', by = 'reset' } = options;
    checkNumber('bytes', bytes, { least: 0, most: Number.MAX_SAFE_INTEGER, whole: true });
    this.change((plan) => inLanes(plan, direction, (lane) => ({ ...lane, cut: { afterBytes: bytes, by } })));
  }

  /** Resets all open connections (RST at both ends). */
  abstract reset(): void;

  /**
   * Closes one end without telling the other, which still believes that it is connected. Whatever that end sends is dropped.
   * @param side the end that is gone
   */
  abstract halfOpen(side: FaultSide): void;

  /** Ends black holes, latency, throttling and planned cuts. A connection that is cut or half open stays so. */
  abstract heal(): void | Promise<void>;

  /** Applies a change of the plan. @internal */
  abstract change(next: (plan: Plan) => Plan): void;
}

/** @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT` */
export function checkSide(side: FaultSide): void {
  oneOf('server', 'client')('side', side);
}

function inLanes(plan: Plan, direction: FaultDirection | undefined, change: (lane: LaneFaults) => LaneFaults): Plan {
  aDirection('direction', direction);
  const changed = { ...plan };
  for (const each of directions) {
    if (direction === undefined || direction === each) changed[each] = change(plan[each]);
  }
  return changed;
}
