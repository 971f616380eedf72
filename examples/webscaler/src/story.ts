import type { FailedWrite } from '@externalname/testing';
import type { EventSource } from './event-order.ts';
import { service } from './network/webscaler-site.ts';
import type { NamedServer } from './status-line.ts';
import type { StatusRow, Timeline } from './timeline.ts';

/** A server, as the story shows it. */
export interface ShownServer extends NamedServer {
  readonly port: number;
  readonly processId: number | undefined;
}

/** A cluster, as the story shows it: where its DNS and its API are. */
export interface ShownCluster {
  readonly nameserver: string;
  readonly api: string;
}

/** A crew, as the story shows it. */
export interface ShownCrew {
  readonly title: string;
  readonly workers: number;
  readonly connections: number;
}

/** What kind of demo is told of. */
export interface StoryOptions {
  readonly plainPg: boolean;
  readonly push: boolean;
  readonly site: boolean;
  /** TTL of the Service's name in DNS. */
  readonly ttlSeconds: number;
}

/** A moment of the story, which the plot marks. */
export interface Moment {
  readonly name: string;
  readonly at: number;
}

/**
 * The sentences of the demo, from the first to the last before the verdict. The scenario says what has happened; how it is told is
 * here alone.
 */
export class Story {
  readonly moments: Moment[] = [];
  readonly #timeline: Timeline;
  readonly #options: StoryOptions;

  constructor(timeline: Timeline, options: StoryOptions) {
    this.#timeline = timeline;
    this.#options = options;
  }

  opens(): void {
    const { plainPg, site } = this.#options;
    const seconds = plainPg ? '25 to 45' : '15 to 30';
    const beside = plainPg ? ', and beside them the same with plain pg.Pools' : '';
    this.#timeline.paragraph(
      'The webscaler disaster recovery, on this machine: two real PostgreSQL servers, a cluster DNS, and 20 workers that write ' +
        `through the Kubernetes Service ${service}${beside}. The primary is killed, its standby is promoted and the Service patched; ` +
        `then all is switched back on purpose. Takes ${seconds} seconds, longer on a busy machine; Ctrl-C ends it at any moment.`,
    );
    this.#timeline.line();
    if (site) {
      this.#event(
        'operator',
        'ACROSS MACHINES: network namespaces for the site (databases, DNS, API), a node that routes and translates, and a pod with the workers',
        { tone: 'step' },
      );
    }
    this.#event('operator', 'starting two PostgreSQL servers: a primary, and a standby that every commit waits for', {
      tone: 'step',
    });
  }

  started(primary: ShownServer, standby: ShownServer, cluster: ShownCluster): void {
    for (const [role, server] of Object.entries({ primary, standby })) {
      const { hostName, address, port, processId } = server;
      this.#event('servers', `${role}: ${hostName}, ${address} port ${port}, process ${processId}`);
    }
    const { ttlSeconds, push } = this.#options;
    const { nameserver, api } = cluster;
    this.#event('cluster', `DNS at ${nameserver}: ${service} is ${primary.hostName}, TTL ${ttlSeconds} s`);
    if (push) this.#event('cluster', `Kubernetes API at ${api}: the workers may read and watch ${service}, no more`);
  }

  connects(processes: number): void {
    const text =
      processes === 1
        ? 'their process starts, and its pool connects'
        : 'their processes start, and their pools connect';
    this.#event('workers', text);
  }

  beginsWriting({ workers, connections }: ShownCrew): void {
    this.#event(
      'workers',
      `${workers} workers, in a process of their own, write through ${service}: ${connections} connections, TLS verified in full`,
      { tone: 'step', part: true },
    );
  }

  /** Every worker has written to a server, the last of them at `at`. After a patch, `since` says which one, and how it is called. */
  allWrite({ hostName }: NamedServer, at: number, since?: { readonly word: string; readonly patchedAt: number }): void {
    const word = since === undefined ? '' : `${since.word}: `;
    const after = since === undefined ? '' : `, ${Math.round(at - since.patchedAt)} ms after the patch`;
    this.#event('workers', `${word}every worker writes to ${hostName}${after}`, { tone: 'good', at });
  }

  notAllWrite({ hostName }: NamedServer, afterMillis: number): void {
    this.#event('workers', `after ${afterMillis / 1000} s not every worker writes to ${hostName}`, { tone: 'bad' });
  }

  poolSays({ title }: Pick<ShownCrew, 'title'>, text: string, at: number): void {
    this.#event(title, text, { at });
  }

  /** The first write of its kind that fails. */
  writeFails({ title }: Pick<ShownCrew, 'title'>, failure: FailedWrite['failure'], at: number): void {
    const { code, message } = failure;
    const name = code === message ? message : `${code}: ${message}`;
    const outcome = {
      'not-executed': ' and was not executed',
      unknown: ', outcome unknown (it was sent, and may have been executed)',
      unsaid: '',
    }[failure.outcome];
    this.#event(title, `a write fails${outcome}: ${name}`, { tone: 'bad', at });
  }

  crash({ hostName }: NamedServer, processes: number, at: number): void {
    this.moments.push({ name: 'crash', at });
    this.#event('operator', `CRASH: kill -9 of all ${processes} processes of ${hostName}`, {
      tone: 'step',
      part: true,
      at,
    });
  }

  isDead({ hostName, address, port }: ShownServer, answer: string): void {
    this.#event(
      'servers',
      `${hostName} is dead: none of its processes is left, ${address} port ${port} says ${answer}`,
    );
  }

  promotes({ hostName }: NamedServer): void {
    this.#event(
      'operator',
      `select pg_promote() on ${hostName}, without the synchronous_standby_names it had inherited`,
    );
  }

  takesWrites({ hostName }: NamedServer, left?: NamedServer): void {
    const rest =
      left === undefined
        ? '. No standby is there: commits do not wait for one'
        : `; ${left.hostName} is still up, read only`;
    this.#event('servers', `${hostName} takes writes${rest}`);
  }

  /** The scenario's own command, as its manifest has it. */
  patches({ hostName }: NamedServer, at: number): void {
    this.moments.push({ name: 'patch', at });
    this.#event(
      'operator',
      `PATCH: kubectl patch service ${service} --type='json' ` +
        `-p='[{"op": "replace", "path": "/spec/externalName", "value": "${hostName}"}]'`,
      { tone: 'step', at },
    );
    this.#event(
      'workers',
      this.#options.push
        ? 'the Kubernetes API tells them, by their watch on the Service'
        : `they are not told: they find out by polling DNS, whose answers are good for ${this.#options.ttlSeconds} s`,
      { at },
    );
  }

  pollSaw(millis: number | null, patchedAt: number): void {
    if (millis === null) this.#event('DNS poll', 'a poll beside the workers has not seen the patch', { tone: 'bad' });
    else {
      const text = `a poll beside the workers sees the patch, ${millis} ms after it`;
      this.#event('DNS poll', text, { at: patchedAt + millis });
    }
  }

  rebuilds(rebuilt: NamedServer, from: NamedServer): void {
    this.#event(
      'operator',
      `REBUILD: ${rebuilt.hostName} becomes a standby, from a copy of ${from.hostName}'s files (backup functions)`,
      { tone: 'step', part: true },
    );
  }

  isInStep({ hostName, processId }: ShownServer, primary: NamedServer): void {
    this.#event(
      'servers',
      `${hostName} (process ${processId}) is in step: commits on ${primary.hostName} wait for it again`,
    );
  }

  fences({ hostName }: NamedServer, at: number): void {
    this.moments.push({ name: 'switch back', at });
    this.#event('operator', `PLANNED SWITCH BACK: ${hostName} is fenced (default_transaction_read_only)`, {
      tone: 'step',
      part: true,
      at,
    });
  }

  isQuiet(from: NamedServer, to: NamedServer, end: string): void {
    this.#event(
      'servers',
      `no write is open on ${from.hostName} any more; waiting until ${to.hostName} has replayed up to ${end}`,
    );
  }

  /** Who still has sessions on the server that was left, which is up. */
  hasMoved({ title }: Pick<ShownCrew, 'title'>, left: Left, from: NamedServer, to: NamedServer): void {
    const { sessions, writes, afterMillis } = left;
    this.#event(
      title,
      `${sessions} sessions on ${from.hostName} ${(afterMillis / 1000).toFixed(1)} s after the patch, ` +
        `${writes ? 'writes to' : 'has written nothing to'} ${to.hostName}`,
      { tone: writes && sessions === 0 ? 'good' : 'bad' },
    );
  }

  stops(): void {
    this.#event('operator', 'the workers stop; then the rows are counted', { tone: 'step', part: true });
  }

  /** Someone whose events are heard of with a delay. */
  source(): EventSource {
    return this.#timeline.source();
  }

  status(rows: readonly StatusRow[]): void {
    this.#timeline.status(rows);
  }

  #event(who: string, text: string, rest: Pick<Parameters<Timeline['event']>[0], 'tone' | 'at' | 'part'> = {}): void {
    this.#timeline.event({ who, text, ...rest });
  }
}

/** What a crew still has on the server that was left by the planned switch. */
export interface Left {
  readonly sessions: number;
  /** Whether it writes to the promoted server. */
  readonly writes: boolean;
  /** From the patch until this was looked at. */
  readonly afterMillis: number;
}
