import type * as pg from 'pg';
import { onMessage } from '../driver/client-internals.ts';
import { Notes, sharedListener } from '../driver/shared-listener.ts';
import { ServerRoleError } from '../errors.ts';

/** libpq's `target_session_attrs` (PostgreSQL documentation, "Database Connection Control Functions"). */
export type TargetSessionAttrs = 'any' | 'read-write' | 'read-only' | 'primary' | 'standby' | 'prefer-standby';

/** What is known about the server's role in a session. `undefined` if the server has not said. */
export interface SessionRole {
  /** `in_hot_standby`; undefined if the server does not say. */
  readonly inHotStandby: boolean | undefined;
  /** `default_transaction_read_only`; undefined if the server does not say. */
  readonly defaultReadOnly: boolean | undefined;
}

/**
 * Follows what the server reports about its role: PostgreSQL 14 and later send `in_hot_standby` and
 * `default_transaction_read_only` while a session starts, and again with the first reply after they change
 * (PostgreSQL documentation, "Asynchronous Operations" of the protocol). It costs no round trip.
 */
export class RoleReports {
  #inHotStandby: boolean | undefined;
  #defaultReadOnly: boolean | undefined;
  #isOwnReadOnly = false;

  /** Begins to track it. Call it before the client connects. */
  track(client: pg.Client): void {
    reportsOnRoles.note(client, this);
    onMessage(client, 'parameterStatus', takeReport);
  }

  /** The server has said what a parameter is. */
  report({ parameterName, parameterValue }: ParameterStatus): void {
    if (parameterName === 'in_hot_standby') this.#inHotStandby = parameterValue === 'on';
    if (parameterName === 'default_transaction_read_only') this.#defaultReadOnly = parameterValue === 'on';
  }

  get role(): SessionRole {
    return { inHotStandby: this.#inHotStandby, defaultReadOnly: this.#isOwnReadOnly ? false : this.#defaultReadOnly };
  }

  /** From now on `default_transaction_read_only` says nothing about the server, because the session set it itself. */
  ignoreReadOnlyDefault(): void {
    this.#isOwnReadOnly = true;
  }

  /** Records the answer of a query, for servers that do not report it. */
  learn(role: { inHotStandby: boolean; defaultReadOnly: boolean }): void {
    this.#inHotStandby = role.inHotStandby;
    this.#defaultReadOnly = role.defaultReadOnly;
  }
}

interface ParameterStatus {
  readonly parameterName: string;
  readonly parameterValue: string;
}

const reportsOnRoles = new Notes<RoleReports>('roles');
const takeReport = sharedListener<ParameterStatus>((client, message) => reportsOnRoles.of(client)?.report(message));

/** Whether a session with that role is acceptable; `undefined` if the role must be asked for first. */
export function roleFits(wanted: TargetSessionAttrs, role: SessionRole): boolean | undefined {
  const { inHotStandby, defaultReadOnly } = role;
  switch (wanted) {
    case 'any':
    case 'prefer-standby':
      return true;
    case 'primary':
      return inHotStandby === undefined ? undefined : !inHotStandby;
    case 'standby':
      return inHotStandby;
    case 'read-write':
      if (inHotStandby === true || defaultReadOnly === true) return false;
      return inHotStandby === undefined || defaultReadOnly === undefined ? undefined : true;
    case 'read-only':
      if (inHotStandby === true || defaultReadOnly === true) return true;
      return inHotStandby === undefined || defaultReadOnly === undefined ? undefined : false;
  }
}

/** Whether a session with that role, which fits, is also preferred: for `prefer-standby`, a standby. */
export function isPreferred(role: SessionRole, wanted: TargetSessionAttrs): boolean {
  return wanted !== 'prefer-standby' || role.inHotStandby === true;
}

/** The role that a session must have. */
export interface WantedRole {
  readonly targetSessionAttrs: TargetSessionAttrs;
  /**
   * Whether `read-write` is the default and was not written. Then a session that is read-only by its own setting is accepted, on
   * a server that is not a standby: an application that only reads never asked for more.
   */
  readonly takesOwnReadOnly: boolean;
}

/**
 * Makes sure that a session has the wanted role, and asks the server if it has not said.
 *
 * @throws ServerRoleError `ERR_EXTERNALNAME_SERVER_ROLE`
 */
export async function checkRole(
  client: pg.Client,
  roles: RoleReports,
  where: string,
  { targetSessionAttrs: wanted, takesOwnReadOnly }: WantedRole,
): Promise<void> {
  const isUnknown =
    wanted === 'prefer-standby' ? roles.role.inHotStandby === undefined : roleFits(wanted, roles.role) === undefined;
  if (isUnknown) roles.learn((await askRole(client)) ?? primaryRole);
  if (roleFits(wanted, roles.role) !== false) return;
  const mayBeOwn = wanted === 'read-write' && roles.role.inHotStandby === false;
  if (!mayBeOwn || !(await isOwnReadOnly(client))) {
    throw new ServerRoleError(where, wanted, describeRole(roles.role));
  }
  if (!takesOwnReadOnly) throw new ServerRoleError(where, wanted, ownReadOnlyRole, { isLasting: true });
  roles.ignoreReadOnlyDefault();
}

/**
 * Whether `default_transaction_read_only` is on for this session only: by ALTER ROLE, or by the options that it was started with.
 * If it is set for the server or the whole database (`ALTER SYSTEM`, `ALTER DATABASE`), the server is fenced.
 */
async function isOwnReadOnly(client: pg.ClientBase): Promise<boolean> {
  const { rows } = await client.query<{ source: string }>(readOnlySourceQuery);
  return ownSources.has(rows[0]?.source ?? '');
}

/**
 * Asks a server for its role: one that does not report it (before PostgreSQL 14, or behind a pooler), or one that is suspect.
 * `undefined` if it does not tell.
 */
export async function askRole(
  client: pg.ClientBase,
): Promise<{ inHotStandby: boolean; defaultReadOnly: boolean } | undefined> {
  const { rows } = await client.query<{ recovery: boolean; readonly: string }>(roleQuery);
  const [role] = rows;
  return role && { inHotStandby: role.recovery === true, defaultReadOnly: role.readonly === 'on' };
}

/** What a server's role is called in messages. */
export function describeRole(role: SessionRole): string {
  if (role.inHotStandby === true) return 'a standby in recovery';
  if (role.defaultReadOnly === true) return 'read-only (default_transaction_read_only is on)';
  return 'a primary that takes writes';
}

const ownReadOnlyRole =
  'a primary, but the session is read-only by its own setting (default_transaction_read_only is on for its role, or in its options; ' +
  "targetSessionAttrs: 'primary' accepts it)";

// `pg_settings.source` (PostgreSQL documentation, "pg_settings").
const ownSources: ReadonlySet<string> = new Set(['user', 'database user', 'client']);
const readOnlySourceQuery = "SELECT source FROM pg_catalog.pg_settings WHERE name = 'default_transaction_read_only'";

const primaryRole = { inHotStandby: false, defaultReadOnly: false };

const roleQuery =
  "SELECT pg_catalog.pg_is_in_recovery() AS recovery, pg_catalog.current_setting('default_transaction_read_only') AS readonly";
