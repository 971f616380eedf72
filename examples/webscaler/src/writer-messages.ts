import type { WriteReport } from '@externalname/testing';

/**
 * What the operator's side and the processes of writers tell each other over Node's IPC channel. It is for display and the verdict only:
 * where the database is, the writers learn from DNS.
 */
export type WriterCommand =
  /** Make the pool, and let it open its connections. */
  | { readonly kind: 'connect'; readonly assignment: Assignment }
  /** Set the workers to work. */
  | { readonly kind: 'write' }
  /** Begin no write any more, wait for those under way, report, and end. */
  | { readonly kind: 'stop' };

/** What a process of writers is to do. */
export interface Assignment {
  readonly client: ClientKind;
  readonly workers: number;
  /** `max` of the pool. */
  readonly connections: number;
  /** Each worker's pause between two writes. */
  readonly pauseMillis: number;
  /** Ids are `firstId`, `firstId + 1`, ...: no id is used twice. */
  readonly firstId: number;
  readonly table: string;
  readonly database: DatabaseAccess;
  /** How the writers learn where the Service points. */
  readonly follow: Follow;
}

/** Through which pool is written. The `plain` ones are the pool of `pg` itself. */
export type ClientKind =
  /** `Pool` of `@externalname/pg`, TLS verified in full. */
  | 'externalname'
  /** TLS verified in full. */
  | 'plain-verified'
  /** No TLS, `pool.query()`. */
  | 'plain-query'
  /** No TLS, transactions: `pool.connect()`, `begin` ... `commit`, `client.release()`. */
  | 'plain-checkout';

export interface DatabaseAccess {
  readonly service: string;
  readonly namespace: string;
  readonly allowedTargets: readonly string[];
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
  readonly ca: string;
}

/** How the writers learn of a switch. */
export type Follow = FollowHere | FollowInPod;

/** On this machine, where no `/etc/resolv.conf` names the cluster's DNS. */
export interface FollowHere {
  /** `address:port` of the cluster's DNS. */
  readonly nameserver: string;
  /** Path of a kubeconfig: a watch on the Service pushes a switch, and DNS is only there should the API be away. */
  readonly kubeConfig?: string | undefined;
}

/** In a pod, whose `/etc/resolv.conf` and service account say where DNS and the API are. */
export interface FollowInPod {
  readonly nameserver: undefined;
  /** Whether a watch on the Service pushes a switch. DNS is then only there should the API be away. */
  readonly push: boolean;
}

export type WriterMessage =
  /** There is a process. */
  | { readonly kind: 'ready' }
  /** The pool has its connections, or could not get them. */
  | { readonly kind: 'connected' }
  | ({ readonly kind: 'report' } & Report)
  | { readonly kind: 'notice'; readonly at: number; readonly text: string };

/** What has happened since the last report. All times are of {@link now}. */
export interface Report extends WriteReport {
  /** When this was reported: everything that happened before has been. */
  readonly at: number;
}

/** Milliseconds of the machine's monotonic clock, which is the same for every process on it. */
export function now(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
