import type { Endpoint } from '@externalname/core';
import { processIdOf } from '../driver/client-internals.ts';
import type { PooledConnection } from './pooled-connection.ts';

/** Where the server process with that number is, among these connections: two servers may have given the same number. */
export function endpointsOfProcess(processId: number, connections: Iterable<PooledConnection>): readonly Endpoint[] {
  const found = [...connections].filter(({ client, isOver }) => !isOver && processIdOf(client) === processId);
  const all = distinctEndpoints(found);
  // An idle session is not signalled.
  return all.length > 1 ? distinctEndpoints(found.filter(({ isOut }) => isOut)) : all;
}

function distinctEndpoints(connections: readonly PooledConnection[]): readonly Endpoint[] {
  const endpoints = connections.flatMap(({ endpoint }) => endpoint ?? []);
  return [...new Map(endpoints.map((endpoint) => [`${endpoint.address} ${endpoint.port}`, endpoint])).values()];
}
