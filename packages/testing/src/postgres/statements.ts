import type { RunStatement } from './administration.ts';
import { identifier, literal } from './settings.ts';

/** `primary` takes writes; `standby` replays those of a primary and takes reads. */
export type PostgresRole = 'primary' | 'standby';

export async function roleOf(run: RunStatement): Promise<PostgresRole> {
  const [row] = await run<{ standby: boolean }>('select pg_is_in_recovery() as standby');
  return row?.standby === true ? 'standby' : 'primary';
}

export async function positionOf(run: RunStatement): Promise<string> {
  const [row] = await run<{ position: string }>(
    'select case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end as position',
  );
  return row?.position ?? '0/0';
}

export async function alterSystem(
  run: RunStatement,
  parameters: Readonly<Record<string, string | null>>,
): Promise<void> {
  for (const [parameter, value] of Object.entries(parameters)) {
    const name = parameter.split('.').map(identifier).join('.');
    await run(value === null ? `alter system reset ${name}` : `alter system set ${name} = ${literal(value)}`);
  }
}

export async function openWriters(run: RunStatement, since: string, terminate: boolean): Promise<number> {
  // Transactions that started later are read only, so they do not count.
  const rows = await run(
    `select pid${terminate ? ', pg_terminate_backend(pid)' : ''} from pg_stat_activity
     where backend_type = 'client backend' and pid <> pg_backend_pid() and xact_start < $1::timestamptz`,
    [since],
  );
  const [prepared] = await run<{ n: string }>('select count(*) as n from pg_prepared_xacts');
  return rows.length + Number(prepared?.n ?? 0);
}
