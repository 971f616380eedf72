import type { Balancer, Endpoint } from '../targets/index.ts';

/**
 * An address, and what a pool has of it.
 *
 * @internal
 */
export interface SpreadRow {
  /** Its share of the work, 0 to 1; 0 if it gets none. */
  readonly share: number;
  /** Open connections. */
  readonly connections: number;
  /** Idle connections. */
  readonly idle: number;
}

/**
 * What brings the connections closer to the shares; indexes of rows.
 *
 * @internal
 */
export interface SpreadStep {
  /** The address that gives up a connection first; `undefined` if there is room. */
  readonly from: number | undefined;
  /** The address that gets one; `undefined` if one that gets no work any more gives up a connection for nothing. */
  readonly to: number | undefined;
}

/**
 * The next step towards connections by share. An address below its share, rounded down, gets a connection; if there is no room, from the
 * one that is most above its share. Every address with a share gets at least one. Pure.
 *
 * @param room how many more connections the pool may have
 * @internal
 */
export function nextSpreadStep(rows: readonly SpreadRow[], room: number): SpreadStep | undefined {
  if (!rows.some(({ share }) => share > 0)) return undefined;
  const total = rows.reduce((sum, { connections }) => sum + connections, 0);
  const wanted = rows.map(({ share }) => (share === 0 ? 0 : Math.max(1, share * total)));
  const to = indexOfMost(rows.map(({ connections }, index) => wholePart(wanted[index] ?? 0) - connections));
  if (to !== undefined && room > 0) return { from: undefined, to };
  const from = indexOfMost(rows.map(({ connections }, index) => connections - (wanted[index] ?? 0)));
  if (to !== undefined) return from === undefined ? undefined : { from, to };
  // What is left at an address without work goes when it is idle, or the address would never be without connections.
  const useless = rows.findIndex(({ share, idle }) => share === 0 && idle > 0);
  return useless < 0 ? undefined : { from: useless, to: undefined };
}

/**
 * Where a new connection is due: of the addresses with a share, first the one with the fewest connections relative to it; among equals,
 * as they are given. A silent one comes after those, and before those without a share.
 *
 * @internal
 */
export function neediestFirst(balancer: Balancer, endpoints: readonly Endpoint[]): readonly Endpoint[] {
  const shares = balancer.shares(endpoints);
  const rows = endpoints.map((endpoint, index) => {
    const share = shares[index] ?? 0;
    const due = balancer.isSilent(endpoint) ? Number.MAX_SAFE_INTEGER : (balancer.connectionsTo(endpoint) + 1) / share;
    return { endpoint, load: share === 0 ? Number.MAX_VALUE : due };
  });
  return rows.sort((one, other) => one.load - other.load).map(({ endpoint }) => endpoint);
}

// Sums of thirds are not exact.
function wholePart(count: number): number {
  return Math.floor(count + 1e-9);
}

// `undefined` if none is above 0.
function indexOfMost(counts: readonly number[]): number | undefined {
  const most = Math.max(0, ...counts);
  return most < 1e-9 ? undefined : counts.indexOf(most);
}
