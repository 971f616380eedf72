import type { Clock, Endpoint, Target } from '@externalname/core';
import { addressOf, type Epoch } from '@externalname/core/internal';
import type { EndpointStatus } from '@externalname/core/targets';
import type * as pg from 'pg';
import { type AuthenticationDemands, certificateExpiry, forgetAuthentication } from '../connect/authentication.ts';
import type { OpenConnection } from '../connect/connector.ts';
import { type ConnectEvent, connected } from '../events.ts';
import type { FailureKind } from '../failure-kind.ts';
import { classifyFailure } from '../failures/classify.ts';
import type { RecentEvent } from '../recent-events.ts';

/** A new connection, and the epoch that it was made in. */
export interface MadeConnection extends OpenConnection {
  readonly epoch: Epoch;
}

/** A request for a connection. */
export interface ConnectionRequest {
  /** Fires when the caller does not wait any longer. A connection that is being opened is still finished. */
  readonly signal: AbortSignal;
  /** Makes the client of each attempt, if the host does not. */
  readonly createClient?: (() => pg.Client) | undefined;
  /** The last error on the caller's behalf, for its own error when its time is up. */
  lastError: unknown;
}

/** What a factory needs from its host. */
export interface FactoryHost {
  createClient(): pg.Client;
  demands(client: pg.Client, where: string): AuthenticationDemands;
}

/** A target that is not followed, and why. */
export interface Refusal {
  readonly target: string;
  readonly error: unknown;
  readonly kind: FailureKind;
}

type ConnectOutcome = { readonly made: OpenConnection } | { readonly error: unknown };

/** An attempt to connect begins. Call what is returned when it has ended: it publishes the event. */
export function beginAttempt(name: string, target: string, clock: Clock): (outcome: ConnectOutcome) => void {
  const startedAt = clock.now();
  return (outcome) => {
    connected.publish(() => ({ name, target, durationMillis: clock.now() - startedAt, ...describeOutcome(outcome) }));
    if ('made' in outcome) forgetAuthentication(outcome.made.client);
  };
}

function describeOutcome(
  outcome: ConnectOutcome,
): Pick<ConnectEvent, 'address' | 'certificateExpiresAt' | 'error' | 'kind'> {
  if ('error' in outcome) return { error: outcome.error, kind: classifyFailure(outcome.error, 'connecting').kind };
  const { client, endpoint } = outcome.made;
  const certificateExpiresAt = certificateExpiry(client);
  return {
    ...(endpoint !== undefined && { address: addressOf(endpoint) }),
    ...(certificateExpiresAt !== undefined && { certificateExpiresAt }),
  };
}

/** Makes a pool's connections. */
export interface ConnectionFactory {
  /** @throws why no connection can be had, or the reason of the request's signal */
  connect(request: ConnectionRequest): Promise<MadeConnection>;
  /** As `connect`, but asks before each attempt whether it is still `needed`. `undefined` if it is not. */
  connectIfNeeded(request: ConnectionRequest, needed: () => boolean): Promise<MadeConnection | undefined>;
  /**
   * Something went wrong that makes the server suspect: no idle connection is trusted. `reason` is the error that says so. If the pool
   * balances, and others than the address where it happened serve, only that address is.
   */
  suspect(reason?: unknown, endpoint?: Endpoint): void;
  /** The server was heard from, now or at that moment in `now()` milliseconds, and has the wanted role. */
  confirmed(at?: number): void;
  /** Ends everything in progress. Idempotent. */
  close(): Promise<void>;
  /** When the server last became suspect, in `now()` milliseconds: connections that were idle before must be checked. */
  readonly suspectedAt: number;
  readonly epoch: Epoch;
  /** Whether nothing speaks against the current server; before the first attempt nothing does. */
  readonly serving: boolean;
  /** When the current server was last heard from, in `now()` milliseconds. */
  readonly servedAt: number | undefined;
  /** Whether the last attempt to connect failed and none has succeeded since. */
  readonly inOutage: boolean;
  /** The addresses of the target, if the pool balances. */
  readonly addresses: readonly EndpointStatus[];
  readonly target: Target | undefined;
  readonly candidate: Target | undefined;
  /** When it became the target, in `now()` milliseconds. */
  readonly targetSince: number | undefined;
  /** How old the source's word is, in milliseconds. */
  readonly confirmedMillisAgo: number | undefined;
  readonly refusal: Refusal | undefined;
  /** Sessions that are ready at each host that the Service may come to point at, by its name. */
  readonly readySessions: Readonly<Record<string, number>>;
  /** Whether a session waits at the current target that a caller may have at once. */
  readonly hasReadySession: boolean;
  /** What was done and met last on the way to a server. */
  readonly recentEvents: readonly RecentEvent[];
}

/** Several times a round trip between regions; a server that takes longer to answer an empty statement counts as lost. */
export const proofTimeoutMillis = 1_000;
