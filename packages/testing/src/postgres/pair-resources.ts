import { randomBytes } from 'node:crypto';
import { chown, mkdir, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import type { CertificateAuthority } from '../certificates.ts';
import { guardedPrefix } from '../watchdog.ts';
import type { PostgresBinaries } from './binaries.ts';
import type { PairSettings } from './pair-options.ts';
import type { PostgresServer } from './server.ts';
import { pgHbaConf, pgIdentConf, postgresqlConf, type ServerFiles } from './settings.ts';
import { assertReach, ownName, type ServerAccount } from './unprivileged-account.ts';

export interface PairResources {
  readonly options: PairSettings;
  readonly binaries: PostgresBinaries;
  readonly authority: CertificateAuthority;
  readonly replicationPassword: string;
  /** Contains everything that belongs to this pair. */
  readonly folder: string;
  readonly unguard: () => Promise<void>;
}

export async function newFolderName({ account }: PostgresBinaries): Promise<string> {
  return join(await temporaryFolder(account), `${guardedPrefix}${randomBytes(5).toString('hex')}`);
}

export async function makeFolder(folder: string, { account }: PostgresBinaries): Promise<void> {
  await mkdir(folder, { mode: 0o700 });
  if (account.identity !== undefined) await chown(folder, account.identity.uid, account.identity.gid);
}

async function temporaryFolder(account: ServerAccount): Promise<string> {
  try {
    const folder = await realpath(tmpdir());
    // It contains sockets, whose whole path must not be longer than some 100 bytes.
    if (Buffer.byteLength(folder) > 50) return '/tmp';
    await assertReach(account, folder);
    return folder;
  } catch {
    return '/tmp';
  }
}

export async function writeServerFiles(
  { options, binaries, folder }: PairResources,
  servers: readonly [PostgresServer, PostgresServer],
  server: PostgresServer,
): Promise<void> {
  const index = servers.indexOf(server);
  const peer = servers[index === 0 ? 1 : 0];
  const files: ServerFiles = {
    majorVersion: binaries.majorVersion,
    hostName: server.hostName,
    address: server.address,
    port: server.port,
    clusterName: `${basename(folder)}-${index + 1}`,
    folder: join(folder, `server-${index + 1}`),
    administrator: ownName(),
    synchronousCommit: options.synchronous === false ? 'on' : options.synchronous,
    peer: { hostName: peer.hostName, address: peer.address },
    slotName: slotOf(servers, server),
    parameters: options.parameters,
    accessRules: options.accessRules,
  };
  await server.writeOwn('data/postgresql.conf', postgresqlConf(files));
  await server.writeOwn('data/pg_hba.conf', pgHbaConf(files));
  await server.writeOwn('data/pg_ident.conf', pgIdentConf(files));
}

/** Name of the slot that keeps what `server` has not yet received. */
export function slotOf(servers: readonly PostgresServer[], server: PostgresServer): string {
  return `server_${servers.indexOf(server) + 1}`;
}

export async function closePair(servers: readonly PostgresServer[], { folder, unguard }: PairResources): Promise<void> {
  await Promise.all(servers.map((server) => server.kill()));
  await rm(folder, { recursive: true, force: true });
  await unguard();
}
