import { isText, record } from '@externalname/kubernetes/internal';
import { type EngineReader, type EngineState, type PushContext, unknown } from '../engine/engine.ts';
import type { KubernetesObjects, StoredObject, WatchedObject } from './kubernetes-objects.ts';

/** A Cluster, and its name among the members. */
export interface WatchedCluster {
  readonly member: string;
  readonly objects: KubernetesObjects;
  readonly object: WatchedObject;
}

/** CloudNativePG by the status of its Clusters. Source: CloudNativePG API reference, ClusterStatus; documentation, "Replica clusters". */
export class CnpgReader implements EngineReader {
  readonly name: string;
  readonly #clusters: readonly WatchedCluster[];
  readonly #isDistributed: boolean;
  /** The leader that was named last. */
  #last: string | undefined;

  constructor(clusters: readonly WatchedCluster[], isDistributed: boolean) {
    this.name = `cnpg ${clusters.map(({ member }) => member).join(', ')}`;
    this.#clusters = clusters;
    this.#isDistributed = isDistributed;
  }

  async read({ signal }: { readonly signal: AbortSignal }): Promise<EngineState> {
    const answers = await Promise.allSettled(this.#clusters.map(({ objects, object }) => objects.get(object, signal)));
    signal.throwIfAborted();
    const seen = answers.flatMap((answer, index) => {
      const { member = '' } = this.#clusters[index] ?? {};
      return answer.status === 'fulfilled' && answer.value !== undefined ? [{ member, ...statusOf(answer.value) }] : [];
    });
    const failed = answers.find((answer) => answer.status === 'rejected');
    if (seen.length === 0 && failed !== undefined) throw failed.reason;
    if (seen.length === 0) return unknown('doubt', `there is no Cluster ${this.name}: correct its name or namespace`);
    const state = this.#isDistributed ? acrossClusters(seen, this.#last) : withinCluster(seen[0] as SeenCluster);
    if (state.state === 'leader') this.#last = state.member;
    return state;
  }

  async push(context: PushContext): Promise<void> {
    let open = 0;
    const opened = () => {
      open += 1;
      if (open >= this.#clusters.length) context.opened();
      else context.changed();
    };
    await Promise.all(this.#clusters.map(({ objects, object }) => objects.watch([object], { ...context, opened })));
  }
}

type SeenCluster = ReturnType<typeof statusOf> & { readonly member: string };

function statusOf({ name, annotations, fields }: StoredObject) {
  const [spec, status] = [record(fields['spec']), record(fields['status'])];
  const { self, primary, enabled, promotionToken } = record(spec['replica']);
  const { currentPrimary, targetPrimary, timelineID, systemID, currentPrimaryTimestamp, phase, lastPromotionToken } =
    status;
  const text = (value: unknown) => (isText(value) ? value : undefined);
  return {
    current: text(currentPrimary),
    target: text(targetPrimary),
    since: text(currentPrimaryTimestamp),
    timeline: typeof timelineID === 'number' && timelineID > 0 ? timelineID : undefined,
    systemIdentifier: text(systemID),
    phase: text(phase) ?? 'no phase',
    // As the operator decides it: `enabled` counts if it is set.
    isReplica:
      spec['replica'] !== undefined && (typeof enabled === 'boolean' ? enabled : primary !== (text(self) ?? name)),
    primary: text(primary),
    isPromoted: !isText(promotionToken) || promotionToken === lastPromotionToken,
    isHibernated: annotations['cnpg.io/hibernation'] === 'on',
    fenced: text(annotations['cnpg.io/fencedInstances']),
  };
}

/** What holds for one Cluster, whose members are its instances. */
function withinCluster(cluster: SeenCluster): EngineState {
  const { member, current, target, isReplica, phase } = cluster;
  const paused = pauseOf(cluster);
  if (paused !== undefined) return unknown('paused', paused);
  if (isReplica)
    return unknown('doubt', `the Cluster ${member} is a replica cluster: none of its instances takes writes`);
  if (current === undefined) return unknown('unlocked', `the Cluster ${member} has no primary yet (${phase})`);
  if (target === current) return leaderOf(cluster, current);
  // A failover also names a target, but its old primary is gone: nothing is handed over.
  if (/switchover/i.test(phase) && target !== undefined) return { state: 'releasing', member: current, to: target };
  return unknown('unlocked', `the Cluster ${member} is between ${current} and ${target ?? 'none'} (${phase})`);
}

/** What holds for a distributed topology, whose members are the Clusters. */
function acrossClusters(seen: readonly SeenCluster[], last: string | undefined): EngineState {
  const [primary, other] = seen.filter(({ isReplica }) => !isReplica);
  if (primary !== undefined && other !== undefined) {
    return unknown(
      'two-leaders',
      `${primary.member} and ${other.member} are both the primary Cluster, by their spec.replica`,
    );
  }
  if (primary === undefined) {
    // Its own spec names another: the first half of a planned switch. A demotion token alone may be one of an earlier switch.
    const demoted = seen.find(({ member, primary: named }) => member === last && named !== undefined && named !== last);
    if (demoted !== undefined) return { state: 'releasing', member: demoted.member, to: demoted.primary };
    return unknown('unlocked', `none of ${seen.map(({ member }) => member).join(', ')} is the primary Cluster`);
  }
  const paused = pauseOf(primary);
  if (paused !== undefined) return unknown('paused', paused);
  const doubters = seen.filter(
    (cluster) => cluster.isReplica && cluster.primary !== undefined && cluster.primary !== primary.member,
  );
  // It must learn first that it is not the primary any more; until then, it was not told to stop.
  if (doubters.length > 0) {
    return unknown(
      'doubt',
      `${doubters.map(({ member, primary: named }) => `${member} names ${named}`).join(', ')}, and ${primary.member} itself`,
    );
  }
  if (!primary.isPromoted) return { state: 'releasing', to: primary.member };
  if (primary.current === undefined || primary.target !== primary.current) {
    return unknown('unlocked', `the Cluster ${primary.member} has no settled primary (${primary.phase})`);
  }
  return leaderOf(primary, primary.member);
}

function leaderOf({ since, timeline, systemIdentifier }: SeenCluster, member: string): EngineState {
  return { state: 'leader', member, since, timeline, systemIdentifier };
}

function pauseOf({ member, isHibernated, fenced, current }: SeenCluster): string | undefined {
  if (isHibernated) return `the Cluster ${member} is hibernated`;
  if (fenced === undefined) return undefined;
  const isFenced = fenced.includes('"*"') || (current !== undefined && fenced.includes(`"${current}"`));
  return isFenced ? `the primary of the Cluster ${member} is fenced` : undefined;
}
