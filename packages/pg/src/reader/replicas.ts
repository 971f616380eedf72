import type { Clock, Endpoint } from '@externalname/core';
import { describeEndpoint, type LogPosition, Replicas } from '@externalname/core/internal';
import type { OpenConnection } from '../connect/connector.ts';
import { readPosition } from '../connect/wal-position.ts';
import { ReplicaLagError } from '../errors.ts';
import { replicaChanged } from '../events.ts';
import type { ReaderLink } from './reader-link.ts';

/** Keeps the reads of a reader on standbys that are near enough to the primary. */
export function replicasOf(parts: {
  readonly name: string;
  readonly clock: Clock;
  readonly link: ReaderLink;
  readonly passedOver: ((endpoint: Endpoint) => void) | undefined;
}): Replicas<OpenConnection> {
  const { name, clock, link, passedOver } = parts;
  const { settings } = link;
  return new Replicas({
    ...{ settings, clock, passedOver },
    primaryPosition: (): Promise<LogPosition> => link.position(),
    positionOf: ({ client }) => readPosition(client),
    isStandby: ({ roles }) => roles.role.inHotStandby === true,
    ask: async ({ client }) => void (await client.query('')),
    changed: ({ target }, status) => replicaChanged.publish(() => ({ name, target: target.externalName, ...status })),
    tooFarBehind: (endpoint, { lagBytes = 0, lagMillis }) =>
      new ReplicaLagError(describeEndpoint(endpoint), lagBytes, lagMillis, settings),
  });
}
