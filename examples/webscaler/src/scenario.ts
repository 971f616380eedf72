import { setTimeout as pause } from 'node:timers/promises';
import type { LocalCluster, PostgresPair, PostgresServer, WriteLedger } from '@externalname/testing';
import { Crew, type CrewSettings, type Stage } from './crew.ts';
import { crewsOf } from './crews.ts';
import { DnsPoll } from './dns-poll.ts';
import { namespace, service } from './network/webscaler-site.ts';
import { placeAcrossMachines, placeOnThisMachine } from './place.ts';
import { assertDead, serverProcessIds } from './server-death.ts';
import { type NamedServer, statusRows } from './status-line.ts';
import { type Left, type Moment, Story } from './story.ts';
import type { Timeline } from './timeline.ts';
import type { Polled, StageResult } from './verdict.ts';
import { now } from './writer-messages.ts';

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

/** The result. */
export interface ScenarioResult {
  /** Of each crew, ours first. */
  readonly crews: readonly CrewResult[];
  /** With `push` only: when a poll of DNS would have told of the two patches. */
  readonly polled: Polled | undefined;
  /** When what happened that all can see. */
  readonly moments: readonly Moment[];
  /** The first primary, then its standby. */
  readonly servers: readonly NamedServer[];
  /** The server that the planned switch has left, and that is still up. */
  readonly leftServer: string;
}

/** The result of the two stages for one crew. */
export interface CrewResult {
  readonly settings: CrewSettings;
  readonly ledger: WriteLedger;
  readonly crash: StageResult;
  readonly planned: StageResult;
  readonly left: Left;
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
  const story = new Story(timeline, { ...options, ttlSeconds });
  const telling = setInterval(() => timeline.tick(), tellMillis);
  const crews: Crew[] = [];
  try {
    story.opens();
    await using place = await open({ pair: pairOptions, ttlSeconds, push });
    const { pair, cluster, follow } = place;
    for (const settings of crewsOf(plainPg)) crews.push(new Crew(settings, story, signal, place.launch));
    story.started(pair.primary, pair.standby, { nameserver: cluster.nameserver, api: cluster.api.url });
    story.connects(crews.length);
    await using poll = push ? await DnsPoll.start(cluster.nameserver, service, namespace) : undefined;
    await Promise.all(crews.map((crew) => crew.connect({ pair, service: { name: service, namespace }, follow })));
    return await new Scene({ pair, cluster, crews, poll, story, signal }).play(plainPg);
  } finally {
    clearInterval(telling);
    await Promise.all(crews.map((crew) => crew.close()));
    timeline.flush();
  }
}

/** Everything that is on the stage. */
interface Cast {
  readonly pair: PostgresPair;
  readonly cluster: LocalCluster;
  readonly crews: readonly Crew[];
  /** Only if the workers do not poll DNS themselves. */
  readonly poll: DnsPoll | undefined;
  readonly story: Story;
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
    const { crews, story, pair } = this.#cast;
    const servers = [pair.primary, pair.standby];
    story.beginsWriting(this.#ours.settings);
    for (const crew of crews) crew.write();
    const status = setInterval(() => story.status(statusRows(crews, servers, now())), statusMillis);
    try {
      await this.#allWrite(pair.primary, 0);
      await this.#wait(steadyMillis + fairMillis());
      const crash = await this.#crash();
      const crashPolled = await crash.polled;
      await this.#rebuild();

      const plannedFrom = now();
      const crashStage = { from: Number.NEGATIVE_INFINITY, to: plannedFrom, ...crash };
      const judged = await Promise.all(crews.map(async (crew) => ({ crew, crash: await crew.judge(crashStage) })));
      await this.#wait(fairMillis());
      const planned = await this.#switchBack();
      const watchedMillis = plainPg ? plainWatchMillis - (now() - planned.patchedAt) : 0;
      await this.#wait(Math.max(afterwardsMillis, watchedMillis));
      const plannedPolled = await planned.polled;
      const left = await this.#whoHasMoved(planned);

      story.stops();
      await Promise.all(crews.map((crew) => crew.stop()));
      const plannedStage = { from: plannedFrom, to: Number.POSITIVE_INFINITY, ...planned };
      const results = judged.map(async ({ crew, crash }) => ({
        settings: crew.settings,
        ledger: crew.ledger,
        left: left.get(crew) ?? { sessions: 0, writes: false, afterMillis: 0 },
        crash,
        planned: await crew.judge(plannedStage),
      }));
      return {
        crews: await Promise.all(results),
        polled: this.#cast.poll && { crash: crashPolled, planned: plannedPolled },
        moments: story.moments,
        servers,
        leftServer: pair.standby.hostName,
      };
    } finally {
      clearInterval(status);
      // Before the servers, so that no worker is left to complain of their end.
      await Promise.all(crews.map((crew) => crew.close()));
    }
  }

  /** The primary dies without a word, the standby is promoted, the Service is patched. */
  async #crash(): Promise<Switched> {
    const { pair, story } = this.#cast;
    const [dying, standby] = [pair.primary, pair.standby];
    const processIds = await serverProcessIds(dying);
    story.crash(dying, processIds.length, now());
    await dying.kill();
    story.isDead(dying, await assertDead(dying, processIds));
    await this.#wait(decisionMillis);
    story.promotes(standby);
    await standby.promote();
    story.takesWrites(standby);
    const patch = await this.#patch(standby);
    await this.#allWrite(standby, patch.patchedAt, 'recovered');
    await this.#wait(afterwardsMillis);
    return { ...patch, promoted: standby, failuresAllowed: this.#ours.settings.connections };
  }

  /** The dead server becomes the standby of the one that took over. */
  async #rebuild(): Promise<void> {
    const { pair, story, signal } = this.#cast;
    const [from, rebuilt] = [pair.primary, pair.standby];
    story.rebuilds(rebuilt, from);
    await pair.rejoin(rebuilt, { signal });
    story.isInStep(rebuilt, from);
  }

  /** The roles are changed on purpose: nothing is written between the last moment of the one server and the first of the other. */
  async #switchBack(): Promise<Switched> {
    const { pair, story, signal } = this.#cast;
    const [from, to] = [pair.primary, pair.standby];
    story.fences(from, now());
    const end = await from.demote({ signal });
    try {
      story.isQuiet(from, to, end);
      await to.waitForReplay(end, { signal });
      story.promotes(to);
      await to.promote({ signal });
    } catch (error) {
      if (pair.primary === from) await from.unfence();
      throw error;
    }
    story.takesWrites(to, from);
    const patch = await this.#patch(to);
    await this.#allWrite(to, patch.patchedAt, 'done');
    return { ...patch, promoted: to, failuresAllowed: 0 };
  }

  /** The scenario's own patch. */
  async #patch(to: PostgresServer): Promise<Patch> {
    const { cluster, story } = this.#cast;
    const patchedAt = now();
    story.patches(to, patchedAt);
    await cluster.services.patch(namespace, service, [
      { op: 'replace', path: '/spec/externalName', value: to.hostName },
    ]);
    const polled = this.#polled(to, patchedAt);
    // It is awaited later; until then it must not count as unhandled.
    polled.catch(() => undefined);
    return { patchedAt, polled };
  }

  // How long the workers would have waited for a poll of DNS.
  async #polled(promoted: PostgresServer, patchedAt: number): Promise<number | null> {
    const { poll, signal, story } = this.#cast;
    if (poll === undefined) return null;
    const millis = await poll.sees(promoted.hostName, patchedAt, recoveryMillis, signal);
    story.pollSaw(millis, patchedAt);
    return millis;
  }

  async #allWrite(server: PostgresServer, since: number, word?: string): Promise<void> {
    const { story } = this.#cast;
    await this.#ours.until(() => this.#ours.writesTo(server, since) !== undefined, recoveryMillis);
    const at = this.#ours.writesTo(server, since);
    if (at === undefined) story.notAllWrite(server, recoveryMillis);
    else story.allWrite(server, at, word === undefined ? undefined : { word, patchedAt: since });
  }

  /** Who still has sessions on the server that was left, which is up. */
  async #whoHasMoved({ patchedAt, promoted }: Switched): Promise<ReadonlyMap<Crew, Left>> {
    const { pair, crews, story } = this.#cast;
    const from = pair.standby;
    const rows = await from.query<{ name: string; sessions: string }>(
      'select application_name as name, count(*) as sessions from pg_stat_activity where usename = $1 group by 1',
      [pair.user],
    );
    const afterMillis = now() - patchedAt;
    return new Map(
      crews.map((crew) => {
        const sessions = Number(rows.find(({ name }) => name === crew.settings.client)?.sessions ?? 0);
        const writes = crew.ledger.firstAt(promoted.address, patchedAt) !== undefined;
        const left = { sessions, writes, afterMillis };
        story.hasMoved(crew.settings, left, from, promoted);
        return [crew, left] as const;
      }),
    );
  }

  async #wait(millis: number): Promise<void> {
    await pause(millis, undefined, { signal: this.#cast.signal });
  }
}

interface Patch {
  readonly patchedAt: number;
  /** With a poll: how long it took until that saw the patch. `null` if it did not. */
  readonly polled: Promise<number | null>;
}

type Switched = Patch & Pick<Stage, 'promoted' | 'failuresAllowed'>;

/**
 * A wait of 0 to one TTL. What is written in DNS is seen between at once and one TTL later: by chance, so that no run is better than
 * what an operator gets, who does not know when applications will ask again.
 */
function fairMillis(): number {
  return Math.random() * ttlSeconds * 1000;
}

const ttlSeconds = 5;

const steadyMillis = 3_000;
/** From the crash until the operator promotes. */
const decisionMillis = 1_000;
/** How long everything must work after a switch before the next step. */
const afterwardsMillis = 2_500;
/** From the patch: how long plain pools are watched. More than two TTLs, so that DNS cannot be the reason. */
const plainWatchMillis = 11_000;
const recoveryMillis = 20_000;
const statusMillis = 100;
/** How often the timeline looks for what it may tell. */
const tellMillis = 50;
