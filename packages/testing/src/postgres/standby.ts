import { sleep } from '@externalname/core/internal';
import { copyFolder } from './folder-copy.ts';
import { type PairResources, slotOf, writeServerFiles } from './pair-resources.ts';
import type { PostgresServer } from './server.ts';
import { identifier, isLeftOutOfBackup } from './settings.ts';

/**
 * Gives `server`, which is down and has no data folder, a copy of the primary's (backup functions; PostgreSQL documentation,
 * 25.3.3), and starts it as the standby. Resolves when it has caught up.
 */
export async function rebuildStandby(
  primary: PostgresServer,
  server: PostgresServer,
  resources: PairResources,
  servers: readonly [PostgresServer, PostgresServer],
  signal: AbortSignal,
): Promise<void> {
  const forever = { signal, timeoutMillis: Number.POSITIVE_INFINITY };
  const slot = slotOf(servers, server);
  const backup = resources.binaries.majorVersion >= 15 ? backupSince15 : backupBefore15;
  let copying: Promise<void> | undefined;
  try {
    await primary.administrate(async (run) => {
      await run('select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = $1', [slot]);
      // From here on the primary keeps the log that the copy will request.
      await run('select pg_create_physical_replication_slot($1, true)', [slot]);
      await run(backup.begin, [`rejoin of ${server.hostName}`]);
      copying = copyFolder(primary.dataFolder, server.dataFolder, {
        owner: resources.binaries.account.identity,
        live: true,
        skip: isLeftOutOfBackup,
        last: ['global/pg_control'],
        signal,
      });
      await copying;
      signal.throwIfAborted();
      const [end] = await run<{ labelfile: string }>(backup.end);
      await server.writeOwn('data/backup_label', end?.labelfile ?? '');
    }, forever);
  } finally {
    // The signal ends the session at once, but the copy may still be writing.
    await copying?.catch(() => undefined);
  }
  await writeServerFiles(resources, servers, server);
  await server.writeOwn('data/standby.signal', '');
  await server.start(forever);
  await joinInStep(primary, server, resources.options.synchronous !== false, signal);
}

/** Waits until the standby streams and has replayed everything. With `synchronous`, commits wait for it from then on. */
export async function joinInStep(
  primary: PostgresServer,
  standby: PostgresServer,
  synchronous: boolean,
  signal: AbortSignal,
): Promise<void> {
  const forever = { signal, timeoutMillis: Number.POSITIVE_INFINITY };
  if (synchronous) await primary.setParameters({ synchronous_standby_names: identifier(standby.hostName) }, forever);
  const state = synchronous ? `sync_state = 'sync'` : `state = 'streaming'`;
  await primary.administrate(async (run) => {
    for (;;) {
      signal.throwIfAborted();
      const rows = await run(
        `select from pg_stat_replication where application_name = $1 and state = 'streaming' and ${state}`,
        [standby.hostName],
      );
      if (rows.length > 0) return;
      await sleep(pollMillis, { signal });
    }
  }, forever);
  await standby.waitForReplay(await primary.position(forever), forever);
}

// Both are fast, and not exclusive.
const backupSince15 = {
  begin: 'select pg_backup_start($1, true)',
  end: 'select labelfile from pg_backup_stop(false)',
};
const backupBefore15 = {
  begin: 'select pg_start_backup($1, true, false)',
  end: 'select labelfile from pg_stop_backup(false, false)',
};

const pollMillis = 5;
