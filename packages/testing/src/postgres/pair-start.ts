import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createCertificateAuthority } from '../certificates.ts';
import { bindProblem, randomLoopbackAddress, randomServerPort } from '../network/loopback.ts';
import { guardFolder } from '../watchdog.ts';
import type { RunStatement } from './administration.ts';
import { findPostgres } from './binaries.ts';
import { preparedDataFolder } from './data-folder.ts';
import { PostgresServerError, PostgresUnavailableError } from './errors.ts';
import { copyFolder } from './folder-copy.ts';
import type { PairSettings, PostgresPairOptions } from './pair-options.ts';
import {
  closePair,
  makeFolder,
  newFolderName,
  type PairResources,
  slotOf,
  writeServerFiles,
} from './pair-resources.ts';
import type { PostgresServer, ServerWaitOptions } from './server.ts';
import { identifier, literal, passwordFile, randomSecret, replicationRole } from './settings.ts';
import { joinInStep } from './standby.ts';

/** The part of a pair that its start needs. */
interface StartingPair {
  readonly servers: readonly [PostgresServer, PostgresServer];
  rejoin(server: PostgresServer, options: ServerWaitOptions): Promise<void>;
}

/** Starts both servers. If that fails, removes everything again. */
export async function startPair<Pair extends StartingPair>(
  settings: PairSettings,
  options: PostgresPairOptions,
  signal: AbortSignal,
  makePair: (resources: PairResources, addresses: readonly [string, string], port: number) => Pair,
): Promise<Pair> {
  const authority = options.authority === undefined ? createCertificateAuthority() : Promise.resolve(options.authority);
  const binaries = await findPostgres(options);
  const template = await preparedDataFolder(binaries);
  // The guard comes first: a process that is killed between the two must not leave the folder behind.
  const folder = await newFolderName(binaries);
  const unguard = await guardFolder(folder);
  const resources = {
    options: settings,
    binaries,
    authority: await authority,
    replicationPassword: randomSecret(),
    folder,
    unguard,
  };
  let servers: readonly PostgresServer[] = [];
  try {
    await makeFolder(folder, binaries);
    for (let attempt = 1; ; attempt++) {
      signal.throwIfAborted();
      const place = await freePlace(settings);
      const pair = makePair(resources, place.addresses, place.port);
      servers = pair.servers;
      try {
        await startServers(pair, resources, template, signal);
        return pair;
      } catch (error) {
        const lostRace = error instanceof PostgresServerError && error.failure === 'address-in-use';
        if (!lostRace || settings.port !== undefined || attempt === placeAttempts) throw error;
        await Promise.all(pair.servers.map((server) => server.kill()));
        await Promise.all([1, 2].map((n) => rm(join(folder, `server-${n}`), { recursive: true, force: true })));
      }
    }
  } catch (error) {
    await closePair(servers, resources);
    throw error;
  }
}

async function startServers(
  pair: StartingPair,
  resources: PairResources,
  template: string,
  signal: AbortSignal,
): Promise<void> {
  const { options, binaries, replicationPassword, folder } = resources;
  const [primary, standby] = pair.servers;
  await Promise.all(
    pair.servers.map(async (server, index) => {
      const own = join(folder, `server-${index + 1}`);
      await makeFolder(own, binaries);
      // Both begin as copies of one stopped server, so the second is a cold backup of the first.
      await copyFolder(template, server.dataFolder, { owner: binaries.account.identity });
      await writeServerFiles(resources, pair.servers, server);
      await server.writeOwn('authority.crt', resources.authority.certificate);
      await server.writeOwn('passwords', passwordFile(replicationPassword));
      await server.writeCertificate(await resources.authority.issue({ hostNames: [server.hostName] }));
    }),
  );
  const forever = { signal, timeoutMillis: Number.POSITIVE_INFINITY };
  await primary.start(forever);
  await primary.administrate(async (run) => {
    await run('select pg_create_physical_replication_slot($1, true)', [slotOf(pair.servers, standby)]);
    await run(`create role ${identifier(replicationRole)} login replication password ${literal(replicationPassword)}`);
  }, forever);
  const application = primary.administrate((run) => createApplication(run, options), forever);
  if (Object.keys(options.parameters).some((name) => checkedByStandbys.has(name.toLowerCase()))) {
    await application;
    await pair.rejoin(standby, forever);
    return;
  }
  const started = standby.writeOwn('data/standby.signal', '').then(() => standby.start(forever));
  await Promise.all([started, application]);
  await joinInStep(primary, standby, options.synchronous !== false, signal);
}

async function createApplication(run: RunStatement, { user, password, database }: PairSettings): Promise<void> {
  await run(`create role ${identifier(user)} login password ${literal(password)}`);
  await run(`create database ${identifier(database)} owner ${identifier(user)}`);
}

async function freePlace(settings: PairSettings): Promise<{ addresses: readonly [string, string]; port: number }> {
  const problems = new Set<string>();
  for (let attempt = 1; attempt <= placeAttempts; attempt++) {
    const port = settings.port ?? randomServerPort();
    const random = [randomLoopbackAddress(), randomLoopbackAddress()] as const;
    const choices = settings.addresses !== undefined ? [settings.addresses] : [random, ['127.0.0.1', '::1'] as const];
    for (const addresses of choices) {
      const found = await Promise.all(
        addresses.map(async (address) => ({ address, problem: await bindProblem(address, port) })),
      );
      const bad = found.filter(({ problem }) => problem !== undefined);
      if (bad.length === 0) return { addresses, port };
      for (const { address, problem } of bad) problems.add(`${address} port ${port}: ${problem}`);
    }
  }
  throw new PostgresUnavailableError(
    `found no two free addresses on this machine for a pair: set the options addresses and port (tried ${[...problems].slice(-4).join(', ')})`,
  );
}

// A standby does not start if one of these is lower than on the server that it was copied from, and the prepared folder was made
// with the defaults (PostgreSQL documentation, 26.4.3). If the options set one, the standby begins as a copy of the primary.
const checkedByStandbys = new Set([
  'max_connections',
  'max_worker_processes',
  'max_wal_senders',
  'max_prepared_transactions',
  'max_locks_per_transaction',
]);
const placeAttempts = 20;
