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

/** The faults of one connection, or of all connections. */
export interface Faults {
  /**
   * Stops passing bytes on. Sockets stay open, and the kernel accepts bytes until its buffers are full. Waiting bytes are passed
   * on after {@link FaultProxy.heal}, as TCP does when a network comes back.
   *
   * @param direction @defaultValue both
   */
  blackHole(direction?: FaultDirection): void;
  /** Delays every byte by this many milliseconds. 0 ends the delay. @param direction @defaultValue both */
  latency(millis: number, direction?: FaultDirection): void;
  /**
   * Limits each connection to this many bytes per second, at least 1, in each direction. {@link FaultProxy.heal} ends the limit.
   *
   * @param direction @defaultValue both
   */
  throttle(bytesPerSecond: number, direction?: FaultDirection): void;
  /**
   * Cuts a connection after exactly this many bytes in one direction, counted since it was opened. If that many have already gone
   * through, the connection is cut at once, so 0 cuts every new connection when it is made.
   */
  cutAfter(bytes: number, options?: CutOptions): void;
  /** Resets all open connections (RST at both ends). */
  reset(): void;
  /**
   * Closes one end without telling the other, which still believes that it is connected. Whatever that end sends is dropped.
   * @param side the end that is gone
   */
  halfOpen(side: FaultSide): void;
  /** Ends black holes, latency, throttling and planned cuts. A connection that is cut or half open stays so. */
  heal(): void | Promise<void>;
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
export const noLaneFaults: LaneFaults = {
  blackHole: false,
  latencyMillis: 0,
  bytesPerSecond: Number.POSITIVE_INFINITY,
  cut: undefined,
};

export function noFaults(): Plan {
  return { resetNew: false, 'to-server': noLaneFaults, 'to-client': noLaneFaults };
}

export function withBlackHole(plan: Plan, direction: FaultDirection | undefined): Plan {
  return inLanes(plan, direction, (lane) => ({ ...lane, blackHole: true }));
}

export function withLatency(plan: Plan, millis: number, direction: FaultDirection | undefined): Plan {
  checkNumber('millis', millis, { least: 0, most: Number.MAX_SAFE_INTEGER });
  return inLanes(plan, direction, (lane) => ({ ...lane, latencyMillis: millis }));
}

export function withThrottle(plan: Plan, bytesPerSecond: number, direction: FaultDirection | undefined): Plan {
  checkNumber('bytesPerSecond', bytesPerSecond, { least: 1 });
  return inLanes(plan, direction, (lane) => ({ ...lane, bytesPerSecond }));
}

export function withCut(plan: Plan, bytes: number, options: CutOptions): Plan {
  checkOptions(options, {
    direction: optional(oneOf(...directions)),
    by: optional(oneOf('reset', 'end', 'silence')),
  });
  const { direction = 'to-client', by = 'reset' } = options;
  checkNumber('bytes', bytes, { least: 0, most: Number.MAX_SAFE_INTEGER, whole: true });
  return inLanes(plan, direction, (lane) => ({ ...lane, cut: { afterBytes: bytes, by } }));
}

function inLanes(plan: Plan, direction: FaultDirection | undefined, change: (lane: LaneFaults) => LaneFaults): Plan {
  const changed = { ...plan };
  for (const each of directions) {
    if (direction === undefined || direction === each) changed[each] = change(plan[each]);
  }
  return changed;
}
