import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { externalNameService, switchJsonPatch } from '@externalname/core/manifests';
import { LocalCluster, PostgresPair } from '@externalname/testing';
import { allowedTargets } from './applications.ts';
import { now } from './messages.ts';
import { RunningApplication } from './running.ts';

/** What happened to the applications. */
export interface Figures {
  /** From the patch until a row of the application was stored by the new server, in milliseconds. */
  readonly movedAfterMillis: Readonly<Record<string, number>>;
  /** Rows that the applications were told are stored. */
  readonly stored: number;
  /** Of these, how many the new server does not have. */
  readonly lost: number;
  readonly failed: number;
}

const service = 'webscaler-db';

/** Each application in a process of its own, one Service, and one patch. */
export async function tour(print: (line: string) => void, names: readonly string[]): Promise<Figures> {
  await using pair = await PostgresPair.start();
  await using cluster = await LocalCluster.start({
    services: [externalNameService({ name: service, externalName: pair.primary.hostName })],
    hosts: pair.hosts,
  });
  const { database, user } = pair;
  await pair.primary.query('create table stored (application text, id int, primary key (application, id))', [], {
    database,
  });
  await pair.primary.query(`alter table stored owner to ${user}`, [], { database });
  const folder = await mkdtemp(join(tmpdir(), 'externalname-centralisation-'));
  await writeFile(join(folder, 'ca.pem'), pair.ca);

  const env = {
    PGHOST: service,
    PGPORT: String(pair.port),
    PGDATABASE: database,
    PGUSER: user,
    PGPASSWORD: pair.password,
    PGSSLROOTCERT: join(folder, 'ca.pem'),
    EXTERNALNAME_ALLOWED_TARGETS: allowedTargets.join(','),
    LOCAL_CLUSTER_NAMESERVER: cluster.nameserver,
  };
  const running: RunningApplication[] = [];
  try {
    print(`${names.length} applications start, each a process of its own. All that they know of their database:`);
    print(`  PGHOST=${service} EXTERNALNAME_ALLOWED_TARGETS=${allowedTargets.join(',')}`);
    // Ten processes that load at once would keep a small machine from everything else.
    const hosts: string[] = [];
    for (const name of names) {
      const each = new RunningApplication(name, env);
      running.push(each);
      hosts.push((await each.hear('ready')).host);
    }
    print(`  connected: ${hosts.length}, all of them to ${[...new Set(hosts)].join(' and ')}`);
    for (const each of running) each.tell({ kind: 'write' });
    await pause(500);

    print(
      '\nThe database moves: the old primary takes no more writes, the standby is promoted, and one object is patched',
    );
    const patch = switchJsonPatch({
      onlyIf: { externalName: pair.primary.hostName },
      externalName: pair.standby.hostName,
    });
    print(`  $ kubectl patch service ${service} --type=json -p '${JSON.stringify(patch)}'`);
    let patchedAt = Number.NaN;
    const moves = running.map(async (each) => {
      const { at, host } = await each.hear('moved');
      const millis = Math.round(at - patchedAt);
      print(`  ${String(millis).padStart(5)} ms  ${each.name.padEnd(9)} stores its rows at ${host}`);
      return [each.name, millis] as const;
    });
    const onPromoted = async () => {
      patchedAt = now();
      await cluster.services.patch('default', service, patch);
    };
    await Promise.all([pair.switchover({ onPromoted, rejoin: false }), ...moves]);
    const movedAfterMillis = Object.fromEntries(await Promise.all(moves));
    await pause(300);

    for (const each of running) each.tell({ kind: 'stop' });
    const ends = await Promise.all(running.map((each) => each.hear('stopped')));
    const stored = ends.reduce((sum, end) => sum + end.stored, 0);
    const failures = ends.flatMap((end) => end.failures);
    const [row] = await pair.primary.query<{ count: string }>('select count(*) from stored', [], { database });
    const figures = { movedAfterMillis, stored, lost: stored - Number(row?.count), failed: failures.length };
    const slowest = Math.max(...Object.values(movedAfterMillis));
    print(
      `\nAll ${names.length} moved within ${slowest} ms, without a restart, a rollout or a change of their configuration. ` +
        `${stored} rows stored, ${figures.lost} lost, ${figures.failed} failed.`,
    );
    for (const failure of failures) print(`  failed: ${failure}`);
    return figures;
  } finally {
    for (const each of running) await each[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  }
}
