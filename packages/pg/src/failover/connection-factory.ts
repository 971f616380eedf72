import type { Target } from '@externalname/core';
import { addressOf } from '@externalname/core/internal';
import type * as pg from 'pg';
import { type AuthenticationDemands, certificateExpiry } from '../connect/authentication.ts';
import type { OpenConnection } from '../connect/connector.ts';
import type { ConnectEvent } from '../events.ts';
import type { FailureKind } from '../failure-kind.ts';
import { classifyFailure } from '../failures/classify.ts';
import type { RecentEvent } from '../recent-events.ts';

/**
 * The time in which a pool points at one target. Made by the factory of its connections, which alone counts them, and carried
 * by each connection: one is of the current epoch if it carries the current one.
 */
export interface Epoch {
  /** From 0. */
  readonly number: number;
  /** Fires when the epoch is over: connections that are being made for it are pointless then. */
  readonly over: AbortSignal;
}

/** A new connection, and the epoch that it was made in. */
export interface MadeConnection extends OpenConnection {
  readonly epoch: Epoch;
}

/** A request for a connection. */
export interface ConnectionRequest {
  /** Fires when the caller does not wait any longer. A connection that is being made is finished all the same. */
  readonly signal: AbortSignal;
  /** Makes the client of each attempt, if that is not the host's business. */
  readonly createClient?: (() => pg.Client) | undefined;
  /** The last thing that went wrong on the caller's behalf, for the error that it gets when its time is up. */
  lastError: unknown;
}

/** What a factory needs of its host. */
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

/** What the event of an attempt to connect says of its end. */
export function connectOutcome(
  outcome: { made: OpenConnection } | { error: unknown },
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
  /** Something went wrong that puts the server in doubt: nothing idle is to be trusted. `reason` is the error that says so. */
  suspect(reason?: unknown): void;
  /** The server was heard from, and is what was asked for. */
  confirmed(): void;
  /** Ends everything under way. Idempotent. */
  close(): Promise<void>;
  /** When the server was last suspected, in `now()` milliseconds: what was idle before must prove itself. */
  readonly suspectedAt: number;
  readonly epoch: Epoch;
  /** Whether nothing speaks against the current server; before the first attempt nothing does. */
  readonly serving: boolean;
  /** When the current server was last heard from, in `now()` milliseconds. */
  readonly servedAt: number | undefined;
  /** Whether the last attempt to connect failed and none has succeeded since. */
  readonly inOutage: boolean;
  readonly target: Target | undefined;
  readonly candidate: Target | undefined;
  /** Since when it has been the target, in `now()` milliseconds. */
  readonly targetSince: number | undefined;
  /** How old the source's word is, in milliseconds. */
  readonly confirmedMillisAgo: number | undefined;
  readonly refusal: Refusal | undefined;
  /** Sessions that wait at each host that the Service may come to point at, by its name. */
  readonly readySessions: Readonly<Record<string, number>>;
  /** What was done and met last on the way to a server. */
  readonly recentEvents: readonly RecentEvent[];
}

/** Several times a round trip between regions; a server that takes longer to answer an empty statement is as good as gone. */
export const proofTimeoutMillis = 1_000;
