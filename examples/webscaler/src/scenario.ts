import { setTimeout as pause } from 'node:timers/promises';
import type { LocalCluster, PostgresPair, PostgresServer } from '@externalname/testing';
import { Crew, type CrewSettings, type Stage } from './crew.ts';
import { DnsPoll } from './dns-poll.ts';
import { namespace, service } from './network/webscaler-site.ts';
import { placeAcrossMachines, placeOnThisMachine } from './place.ts';
import { assertDead, serverProcessIds } from './server-death.ts';
import { statusLine } from './status-line.ts';
import type { Timeline } from './timeline.ts';
import type { Polled, StageResult } from './verdict.ts';
import { type ClientKind, now } from './writer-messages.ts';

/** See {@link runScenario}. */
export interface ScenarioOptions {
  readonly timeline: Timeline;
  /** Lets plain `pg.Pool`s write beside ours. */
  readonly plainPg: boolean;
  /** Lets the Kubernetes API tell the workers of a switch. */
  readonly push: boolean;
  /** Puts servers and workers on machines of their own. The process must then be in a network of its own. */
  readonly site: boolean;
  readonly signal: AbortSignal;
}

/** What came of it all. */
export interface ScenarioResult {
  /** Of each crew, ours first. */
  readonly crews: readonly CrewResult[];
  /** With `push` only: when a poll of DNS would have told of the two patches. */
  readonly polled: Polled | undefined;
}

/** What came of the two stages for one crew. */
export interface CrewResult {
  readonly settings: CrewSettings;
  readonly crash: StageResult;
  readonly planned: StageResult;
}

/**
 * The webscaler disaster recovery: 20 workers write through the Service `webscaler-db` while its primary is killed and the standby
 * takes over, and while the rebuilt primary takes back on purpose.
 *
 * This is the operator's side. The workers are in a process of their own, and share only DNS and PostgreSQL with it.
 *
 * @throws the reason of `signal` when that fires. Servers, folders and processes are gone then, as they are in the end.
 */
export async function runScenario(options: ScenarioOptions): Promise<ScenarioResult> {
  const { timeline, plainPg, push, signal } = options;
  const open = options.site ? placeAcrossMachines : placeOnThisMachine;
  const pairOptions = {
    // Sessions without TLS are let in only where plain pools are to show what they do.
    accessRules: plainPg ? ['hostnossl  app  app  all  scram-sha-256'] : [],
    signal,
  };
  const crews: Crew[] = [];
  try {
    if (options.site) timeline.event(acrossMachines, 'step');
    timeline.event('starting two PostgreSQL servers: a primary, and a standby that every commit waits for', 'step');
    await using place = await open({ pair: pairOptions, ttlSeconds, push });
    const { pair, cluster } = place;
    for (const settings of [ourCrew, ...(plainPg ? plainCrews : [])]) {
      crews.push(new Crew(settings, timeline, signal, place.launch));
    }
    for (const server of pair.servers) {
      const role = server === pair.primary ? 'primary' : 'standby';
      timeline.event(`${role}: ${server.hostName}, ${server.address} port ${server.port}, process ${server.processId}`);
    }
    timeline.event(`cluster DNS at ${cluster.nameserver}: ${service} is ${pair.primary.hostName}, TTL ${ttlSeconds} s`);
    const { follow } = place;
    const { nameserver } = cluster;
    if (push)
      timeline.event(`Kubernetes API at ${cluster.api.url}: the workers may read and watch ${service}, no more`);
    await using poll = push ? await DnsPoll.start(nameserver, service, namespace) : undefined;
    await Promise.all(crews.map((crew) => crew.connect({ pair, service: { name: service, namespace }, follow })));
    return await new Scene({ pair, cluster, crews, poll, timeline, signal }).play(plainPg);
  } finally {
    timeline.endStatus();
    await Promise.all(crews.map((crew) => crew.close()));
  }
}

/** Everything that is on the stage. */
interface Cast {
  readonly pair: PostgresPair;
  readonly cluster: LocalCluster;
  readonly crews: readonly Crew[];
  /** There where the workers do not poll DNS themselves. */
  readonly poll: DnsPoll | undefined;
  readonly timeline: Timeline;
  readonly signal: AbortSignal;
}

class Scene {
  readonly #cast: Cast;
  readonly #ours: Crew;

  constructor(cast: Cast) {
    const [ours] = cast.crews;
    if (ours === undefined) throw new TypeError('nobody works');
    this.#cast = cast;
    this.#ours = ours;
  }

  async play(plainPg: boolean): Promise<ScenarioResult> {
    const { crews, timeline, pair } = this.#cast;
    const { workers, connections } = this.#ours.settings;
    timeline.event(
      `${workers} workers, in a process of their own, write through ${service}: ${connections} connections, TLS verified in full`,
      'step',
    );
    for (const crew of crews) crew.write();
    const status = setInterval(() => timeline.status(statusLine(crews, pair.servers, now())), statusMillis);
    try {
      await this.#allWrite(pair.primary, 0, 'every worker writes to');
      await this.#wait(steadyMillis + fairMillis());
      const crash = await this.#crash();
      const crashPolled = await this.#polled(crash);
      await this.#rebuild();

      const plannedFrom = now();
      const crashStage = { from: Number.NEGATIVE_INFINITY, to: plannedFrom, ...crash };
      const judged = await Promise.all(crews.map(async (crew) => ({ crew, crash: await crew.judge(crashStage) })));
      await this.#wait(fairMillis());
      const planned = await this.#switchBack();
      const watchedMillis = plainPg ? plainWatchMillis - (now() - planned.patchedAt) : 0;
      await this.#wait(Math.max(afterwardsMillis, watchedMillis));
      const plannedPolled = await this.#polled(planned);
      await this.#tellWhoHasMoved(planned);

      timeline.event('the workers stop; then the rows are counted', 'step');
      await Promise.all(crews.map((crew) => crew.stop()));
      const plannedStage = { from: plannedFrom, to: Number.POSITIVE_INFINITY, ...planned };
      const results = judged.map(async ({ crew, crash }) => ({
        settings: crew.settings,
        crash,
        planned: await crew.judge(plannedStage),
      }));
      const polled = this.#cast.poll && { crash: crashPolled, planned: plannedPolled };
      return { crews: await Promise.all(results), polled };
    } finally {
      clearInterval(status);
      // Before the servers, so that no worker is left to complain of their end.
      await Promise.all(crews.map((crew) => crew.close()));
    }
  }

  /** The primary dies without a word, the standby is promoted, the Service is patched. */
  async #crash(): Promise<Switched> {
    const { pair, timeline } = this.#cast;
    const [dying, standby] = [pair.primary, pair.standby];
    const processIds = await serverProcessIds(dying);
    timeline.event(`CRASH: kill -9 of all ${processIds.length} processes of ${dying.hostName}`, 'step');
    await dying.kill();
    const answer = await assertDead(dying, processIds);
    timeline.event(
      `${dying.hostName} is dead: none of its processes is left, ${dying.address} port ${dying.port} says ${answer}`,
    );
    await this.#wait(decisionMillis);
    timeline.event(
      `select pg_promote() on ${standby.hostName}, without the synchronous_standby_names it had inherited`,
    );
    await standby.promote();
    timeline.event(`${standby.hostName} takes writes. No standby is there: commits do not wait for one`);
    const patchedAt = await this.#patch(standby);
    await this.#allWrite(standby, patchedAt, 'recovered: every worker writes to');
    await this.#wait(afterwardsMillis);
    return { patchedAt, promoted: standby, failuresAllowed: this.#ours.settings.connections };
  }

  /** The dead server becomes the standby of the one that took over. */
  async #rebuild(): Promise<void> {
    const { pair, timeline, signal } = this.#cast;
    const [from, rebuilt] = [pair.primary, pair.standby];
    timeline.event(
      `REBUILD: ${rebuilt.hostName} becomes a standby, from a copy of ${from.hostName}'s files (backup functions)`,
      'step',
    );
    await pair.rejoin(rebuilt, { signal });
    timeline.event(
      `${rebuilt.hostName} (process ${rebuilt.processId}) is in step: commits on ${from.hostName} wait for it again`,
    );
  }

  /** The roles are changed on purpose: nothing is written between the last moment of the one server and the first of the other. */
  async #switchBack(): Promise<Switched> {
    const { pair, timeline, signal } = this.#cast;
    const [from, to] = [pair.primary, pair.standby];
    timeline.event(`PLANNED SWITCH BACK: ${from.hostName} is fenced (default_transaction_read_only)`, 'step');
    const end = await from.demote({ signal });
    try {
      timeline.event(
        `no write is open on ${from.hostName} any more; waiting until ${to.hostName} has replayed up to ${end}`,
      );
      await to.waitForReplay(end, { signal });
      timeline.event(`select pg_promote() on ${to.hostName}, without inherited synchronous_standby_names`);
      await to.promote({ signal });
    } catch (error) {
      if (pair.primary === from) await from.unfence();
      throw error;
    }
    timeline.event(`${to.hostName} takes writes; ${from.hostName} is still up, read only`);
    const patchedAt = await this.#patch(to);
    await this.#allWrite(to, patchedAt, 'done: every worker writes to');
    return { patchedAt, promoted: to, failuresAllowed: 0 };
  }

  /** The scenario's own patch. Returns when it was made. */
  async #patch(to: PostgresServer): Promise<number> {
    const { cluster, timeline } = this.#cast;
    const operations = [{ op: 'replace', path: '/spec/externalName', value: to.hostName }] as const;
    const patchedAt = now();
    await cluster.services.patch(namespace, service, operations);
    timeline.event(
      `PATCH: kubectl patch service ${service} --type='json' -p='${JSON.stringify(operations)}'`,
      'step',
      patchedAt,
    );
    timeline.event(
      this.#cast.poll === undefined
        ? `the workers are not told: they find out by polling DNS, whose answers are good for ${ttlSeconds} s`
        : 'the Kubernetes API tells the workers, by their watch on the Service',
    );
    return patchedAt;
  }

  // How long the workers would have waited for a poll of DNS.
  async #polled({ patchedAt, promoted }: Switched): Promise<number | null> {
    const { poll, signal, timeline } = this.#cast;
    if (poll === undefined) return null;
    const millis = await poll.sees(promoted.hostName, patchedAt, recoveryMillis, signal);
    timeline.event(`a DNS poll beside the workers saw the patch ${millis ?? 'not within 20 000'} ms after it`);
    return millis;
  }

  async #allWrite(server: PostgresServer, since: number, what: string): Promise<void> {
    const { timeline } = this.#cast;
    if (await this.#ours.until(() => this.#ours.writesTo(server, since), recoveryMillis)) {
      timeline.event(`${what} ${server.hostName}`, 'good');
    } else {
      timeline.event(`after ${recoveryMillis / 1000} s not every worker writes to ${server.hostName}`, 'bad');
    }
  }

  /** Who still has sessions on the server that was left, which is up. */
  async #tellWhoHasMoved({ patchedAt, promoted }: Switched): Promise<void> {
    const { pair, crews, timeline } = this.#cast;
    const left = pair.standby;
    const rows = await left.query<{ name: string; sessions: string }>(
      'select application_name as name, count(*) as sessions from pg_stat_activity where usename = $1 group by 1',
      [pair.user],
    );
    const seconds = ((now() - patchedAt) / 1000).toFixed(1);
    for (const { settings, ledger } of crews) {
      const sessions = Number(rows.find(({ name }) => name === settings.client)?.sessions ?? 0);
      const moved = ledger.firstAt(promoted.address, patchedAt) !== undefined;
      timeline.event(
        `${settings.title}: ${sessions} sessions on ${left.hostName} ${seconds} s after the patch, ` +
          `${moved ? 'writes to' : 'has written nothing to'} ${promoted.hostName}`,
        moved && sessions === 0 ? 'good' : 'bad',
      );
    }
  }

  async #wait(millis: number): Promise<void> {
    await pause(millis, undefined, { signal: this.#cast.signal });
  }
}

type Switched = Pick<Stage, 'patchedAt' | 'promoted' | 'failuresAllowed'>;

/**
 * A wait of 0 to one TTL. What is written in DNS is seen between at once and one TTL later: by chance, so that no run is better than
 * what an operator gets, who does not know when applications will ask again.
 */
function fairMillis(): number {
  return Math.random() * ttlSeconds * 1000;
}

const acrossMachines =
  'ACROSS MACHINES: network namespaces for the site (databases, DNS, API), a node that routes and translates, and a pod with the workers';
const ttlSeconds = 5;

const ourCrew: CrewSettings = {
  client: 'externalname',
  title: '@externalname/pg',
  workers: 20,
  connections: 10,
  pauseMillis: 20,
  table: 'writes',
};
const plainCrews: readonly CrewSettings[] = (
  [
    { client: 'plain-verified', title: 'plain pg, TLS verified', workers: 1, pauseMillis: 1_000 },
    { client: 'plain-query', title: 'plain pg, no TLS, pool.query()', workers: 20, pauseMillis: 40 },
    { client: 'plain-checkout', title: 'plain pg, no TLS, pool.connect()', workers: 20, pauseMillis: 40 },
  ] as const satisfies readonly { client: ClientKind; title: string; workers: number; pauseMillis: number }[]
).map((each) => ({ ...each, connections: 10, table: `writes_${each.client.replaceAll('-', '_')}` }));

const steadyMillis = 3_000;
/** From the crash until somebody decides to promote. */
const decisionMillis = 1_000;
/** How long all must be well after a switch before the next step. */
const afterwardsMillis = 2_500;
/** From the patch: how long plain pools are watched. More than two TTLs, so that DNS is no excuse. */
const plainWatchMillis = 11_000;
const recoveryMillis = 20_000;
const statusMillis = 100;
