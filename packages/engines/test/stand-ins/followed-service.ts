import { type Clock, type Dependencies, systemClock } from '@externalname/core';
import { LocalCluster } from '@externalname/testing';
import { onTestFinished } from 'vitest';
import { type EngineFollower, type FollowEngineOptions, followEngine } from '../../src/index.ts';
import { answersOf, ScriptedClients, type ScriptedPostgres } from './postgres-clients.ts';
import { ScriptedEngine } from './scripted-engine.ts';

/** The external names of the members `a` and `b`. */
export const [primary, secondary] = ['primary-db.example.com', 'secondary-db.example.com'] as const;

/** A Service that points to the primary of two servers, and what a follower of it reads. Everything is closed when the test is over. */
export class FollowedService {
  readonly cluster: LocalCluster;
  readonly kubeConfig: string;
  readonly servers: Record<string, ScriptedPostgres> = {
    [primary]: { inRecovery: false, readOnly: false, timeline: 1, system: '7' },
    [secondary]: { inRecovery: true, readOnly: false, timeline: 1, system: '7' },
  };
  readonly clients = new ScriptedClients((host, query) => answersOf(this.server(host), query));
  readonly engine = new ScriptedEngine('a');

  private constructor(cluster: LocalCluster, kubeConfig: string) {
    this.cluster = cluster;
    this.kubeConfig = kubeConfig;
  }

  static async start(): Promise<FollowedService> {
    const spec = { type: 'ExternalName', externalName: primary };
    const cluster = await LocalCluster.start({ services: [{ metadata: { name: 'db', namespace: 'default' }, spec }] });
    const made = new FollowedService(cluster, await cluster.writeKubeconfig());
    onTestFinished(async () => {
      await made.engine.engine.close();
      await cluster.close();
    });
    return made;
  }

  follow(options: Partial<FollowEngineOptions> = {}, dependencies: Dependencies = {}): EngineFollower {
    const follower = followEngine(
      {
        engine: this.engine.engine,
        service: 'db',
        namespace: 'default',
        kubeConfig: this.kubeConfig,
        targets: { a: primary, b: secondary },
        client: this.clients.client,
        ...options,
      },
      dependencies,
    );
    onTestFinished(() => follower.close());
    return follower;
  }

  server(host: string): ScriptedPostgres {
    const found = this.servers[host];
    if (found === undefined) throw new Error(`no server at ${host}`);
    return found;
  }

  /** Makes one server the primary, on the next timeline, and the other its standby. */
  promote(
    host: string = secondary,
    timeline = Math.max(...Object.values(this.servers).map((each) => each.timeline)) + 1,
  ): void {
    for (const [name, each] of Object.entries(this.servers)) each.inRecovery = name !== host;
    this.server(host).timeline = timeline;
  }

  /** Where the Service points. */
  async target(): Promise<unknown> {
    const { spec } = (await this.cluster.services.get('default', 'db')) as { spec?: { externalName?: unknown } };
    return spec?.externalName;
  }

  /** Points it somewhere by hand. */
  async point(externalName: string): Promise<void> {
    await this.cluster.services.patch('default', 'db', [
      { op: 'replace', path: '/spec/externalName', value: externalName },
    ]);
  }

  /** The Lease of its followers; undefined if there is none. */
  async lease(): Promise<StoredLease | undefined> {
    const kind = ['coordination.k8s.io/v1', 'Lease', 'default', 'db-follower'] as const;
    return (await this.cluster.objects.get(...kind).catch(() => undefined)) as StoredLease | undefined;
  }
}

/** What is read of a Lease. */
export interface StoredLease {
  metadata: { resourceVersion?: string; annotations?: Record<string, string> };
  spec: object;
}

export function pause(millis: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, millis));
}

/** A clock that runs so many times as fast as others, for what takes its time. */
export function hurried(times: number): Clock {
  return {
    now: () => systemClock.now() * times,
    date: () => new Date(),
    schedule: (callback, delayMillis, options) => systemClock.schedule(callback, delayMillis / times, options),
  };
}
