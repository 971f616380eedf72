import { randomBytes } from 'node:crypto';

/** The values in one server's files. All of them are known before the server starts. */
export interface ServerFiles {
  readonly majorVersion: number;
  readonly hostName: string;
  readonly address: string;
  readonly port: number;
  readonly clusterName: string;
  /** Folder of this server: socket, certificate, log, and the data folder. */
  readonly folder: string;
  /** Name of the user on this machine who may act as superuser over the Unix socket. */
  readonly administrator: string;
  readonly synchronousCommit: string;
  /** The other server. This one replicates from it while it is a standby. */
  readonly peer: { readonly hostName: string; readonly address: string };
  /** Slot on the other server that keeps what this one has not yet received. */
  readonly slotName: string;
  readonly parameters: Readonly<Record<string, string>>;
  readonly accessRules: readonly string[];
}

/** Role that the standby replicates with. */
export const replicationRole = 'replicator';

/** `postgresql.conf`. Values that `ALTER SYSTEM` sets (`postgresql.auto.conf`) override it. */
export function postgresqlConf(files: ServerFiles): string {
  const { folder, peer } = files;
  const settings: Record<string, string> = {
    listen_addresses: files.address,
    port: String(files.port),
    unix_socket_directories: folder,
    max_connections: '200',
    cluster_name: files.clusterName,

    ssl: 'on',
    ssl_cert_file: `${folder}/server.crt`,
    ssl_key_file: `${folder}/server.key`,
    password_encryption: 'scram-sha-256',

    wal_level: 'replica',
    max_wal_senders: '10',
    max_replication_slots: '10',
    // Segments have 4 MB; see `initdbArguments`.
    ...(files.majorVersion >= 13 ? { wal_keep_size: '64MB' } : { wal_keep_segments: '16' }),
    hot_standby: 'on',
    hot_standby_feedback: 'on',
    wal_receiver_status_interval: '1s',
    wal_retrieve_retry_interval: '100ms',
    primary_conninfo: connectionInfo({
      host: peer.hostName,
      hostaddr: peer.address,
      port: String(files.port),
      user: replicationRole,
      passfile: `${folder}/passwords`,
      sslmode: 'verify-full',
      sslrootcert: `${folder}/authority.crt`,
      application_name: files.hostName,
      connect_timeout: '5',
    }),
    primary_slot_name: files.slotName,
    synchronous_commit: files.synchronousCommit,

    // If a process is killed, the operating system still has what the process wrote. Only a crash of the machine loses it, and
    // after that the data folder is of no use.
    fsync: 'off',
    wal_init_zero: 'off',
    max_wal_size: '256MB',
    min_wal_size: '32MB',
    shared_buffers: '32MB',
    // Files in the data folder: nothing is left in /dev/shm when the processes are killed.
    dynamic_shared_memory_type: 'mmap',
    jit: 'off',
    timezone: 'UTC',
    log_timezone: 'UTC',
    lc_messages: 'C',
    log_line_prefix: '%m [%p] %q%u@%d ',
    ...(files.majorVersion >= 18 ? { io_method: 'sync' } : {}),
    ...files.parameters,
  };
  return Object.entries(settings)
    .map(([name, value]) => `${name} = ${quoted(value)}\n`)
    .join('');
}

/** `pg_hba.conf`: TCP only with TLS and SCRAM, and never for the superuser. The first line that matches decides. */
export function pgHbaConf(files: ServerFiles): string {
  return [
    'local      all          postgres                 peer map=administrators',
    'local      all          all                      scram-sha-256',
    ...files.accessRules,
    'host       all          postgres      all        reject',
    'hostnossl  all          all           all        reject',
    `hostssl    replication  ${replicationRole}    all        scram-sha-256`,
    'hostssl    all          all           all        scram-sha-256',
    '',
  ].join('\n');
}

/** `pg_ident.conf` */
export function pgIdentConf(files: ServerFiles): string {
  return `administrators  "${files.administrator}"  postgres\n`;
}

/** A password file for libpq (PostgreSQL documentation, 32.16). */
export function passwordFile(password: string): string {
  return `*:*:*:${replicationRole}:${password}\n`;
}

/** libpq's `keyword=value` form (PostgreSQL documentation, 32.1.1.1). */
export function connectionInfo(values: Readonly<Record<string, string>>): string {
  return Object.entries(values)
    .map(([key, value]) => `${key}='${value.replace(/[\\']/g, '\\$&')}'`)
    .join(' ');
}

/** A password for a role. */
export function randomSecret(): string {
  return randomBytes(18).toString('base64url');
}

/** A string in a configuration file (PostgreSQL documentation, 19.1.2). */
export function quoted(value: string): string {
  return `'${value.replace(/\\/g, '\\\\').replace(/'/g, "''")}'`;
}

/** A string in a statement. */
export function literal(value: string): string {
  return value.includes('\\') ? `E${quoted(value)}` : quoted(value);
}

/** A name in a statement. */
export function identifier(name: string): string {
  return `"${name.replace(/"/g, '""')}"`;
}

/** Whether `path`, below a data folder, stays out of a base backup (PostgreSQL documentation, 25.3.4.2). */
export function isLeftOutOfBackup(path: string): boolean {
  const [first = '', second] = path.split('/');
  const name = path.slice(path.lastIndexOf('/') + 1);
  if (second !== undefined && emptiedFolders.has(first)) return true;
  return leftOutFiles.has(name) || name.startsWith('pgsql_tmp') || name.startsWith('pg_internal.init');
}

const emptiedFolders = new Set([
  'pg_wal',
  'pg_replslot',
  'pg_dynshmem',
  'pg_notify',
  'pg_serial',
  'pg_snapshots',
  'pg_stat_tmp',
  'pg_subtrans',
]);
const leftOutFiles = new Set([
  'postmaster.pid',
  'postmaster.opts',
  'standby.signal',
  'recovery.signal',
  'backup_label',
  'tablespace_map',
  'backup_manifest',
  'postgresql.conf',
  'pg_hba.conf',
  'pg_ident.conf',
]);
