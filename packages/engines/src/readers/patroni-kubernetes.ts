import type { Clock } from '@externalname/core';
import { isText } from '@externalname/kubernetes/internal';
import { type EngineReader, type EngineState, type MemberWord, type PushContext, unknown } from '../engine/engine.ts';
import { type HttpClient, httpBase } from '../http/http-client.ts';
import { type KubernetesObjects, kindOf, type StoredObject, type WatchedObject } from './kubernetes-objects.ts';
import { askPatroni, memberWord } from './patroni-member.ts';
import { parsedConfig, sinceOf } from './patroni-store.ts';

/** See {@link PatroniKubernetesReader}. */
export interface PatroniKubernetesPlace {
  readonly scope: string;
  readonly objects: 'configmaps' | 'endpoints';
  readonly restApis: Readonly<Record<string, string>>;
}

/**
 * Patroni by the annotations of its objects in Kubernetes: `<scope>-leader` as a ConfigMap, `<scope>` as Endpoints (the operators of Zalando, Crunchy,
 * Percona and StackGres). The lock is alive while `renewTime` changes; as Patroni does, only the time since a change was seen here is measured.
 */
export class PatroniKubernetesReader implements EngineReader {
  readonly name: string;
  readonly #place: PatroniKubernetesPlace;
  readonly #objects: KubernetesObjects;
  readonly #http: HttpClient;
  readonly #clock: Clock;
  readonly #leader: WatchedObject;
  readonly #config: WatchedObject;
  readonly #failover: WatchedObject;
  #renewal: { readonly renewTime: unknown; readonly seenAt: number } | undefined;

  constructor(place: PatroniKubernetesPlace, objects: KubernetesObjects, http: HttpClient, clock: Clock) {
    const { scope } = place;
    const kind = kindOf('', 'v1', place.objects);
    this.name = `patroni ${scope}`;
    this.#place = place;
    this.#objects = objects;
    this.#http = http;
    this.#clock = clock;
    this.#leader = { kind, name: place.objects === 'endpoints' ? scope : `${scope}-leader` };
    this.#config = { kind, name: `${scope}-config` };
    this.#failover = { kind, name: `${scope}-failover` };
  }

  async read({ signal }: { readonly signal: AbortSignal }): Promise<EngineState> {
    const [lock, config, failover] = await Promise.all(
      [this.#leader, this.#config, this.#failover].map((object) => this.#objects.get(object, signal)),
    );
    const settings = config?.annotations ?? {};
    if (parsedConfig(textOf(settings['config']))['pause'] === true)
      return unknown('paused', 'Patroni is paused: patronictl resume');
    if (lock === undefined) {
      return unknown(
        'doubt',
        `there is no object ${this.#leader.name}: correct the scope, the namespace, or whether it is a ConfigMap or Endpoints`,
      );
    }
    const { leader } = lock.annotations;
    const planned = failover?.annotations ?? {};
    const [from, to] = [planned['leader'], planned['member']];
    if (isText(from) && !isText(planned['scheduled_at']) && (!isText(leader) || leader === from)) {
      return { state: 'releasing', member: from, to: textOf(to) };
    }
    if (!isText(leader)) return unknown('unlocked', 'no member holds the lock');
    const silentMillis = this.#silence(lock);
    const ttlMillis = (Number(lock.annotations['ttl']) || 30) * 1000;
    if (silentMillis > ttlMillis) {
      return unknown(
        'unlocked',
        `the lock of ${leader} has expired: it was not renewed for ${Math.round(silentMillis / 1000)} s`,
      );
    }
    const systemIdentifier = textOf(settings['initialize']);
    return { state: 'leader', member: leader, since: sinceOf(textOf(settings['history']), leader), systemIdentifier };
  }

  push(context: PushContext): Promise<void> {
    return this.#objects.watch([this.#leader, this.#config, this.#failover], context);
  }

  async ask(member: string, { signal }: { readonly signal: AbortSignal }): Promise<MemberWord> {
    const given = this.#place.restApis[member];
    const base = given ?? (await this.#apiOf(member, signal));
    if (base === undefined)
      return { leads: false, detail: `the Pod ${member} has no annotation status with an api_url` };
    return memberWord(
      member,
      this.#place.scope,
      await askPatroni(this.#http, { base, isGiven: given !== undefined }, signal),
    );
  }

  close(): void {
    this.#http.close();
  }

  async #apiOf(member: string, signal: AbortSignal): Promise<string | undefined> {
    const pod = await this.#objects.get({ kind: kindOf('', 'v1', 'pods'), name: member }, signal);
    const { api_url: api } = parsedConfig(textOf(pod?.annotations['status']));
    return isText(api) ? httpBase('api_url', new URL(api).origin) : undefined;
  }

  /** How long the leader has not renewed its lock, as far as it was seen here. */
  #silence({ annotations: { renewTime } }: StoredObject): number {
    if (this.#renewal?.renewTime !== renewTime) this.#renewal = { renewTime, seenAt: this.#clock.now() };
    return this.#clock.now() - (this.#renewal?.seenAt ?? 0);
  }
}

function textOf(value: unknown): string | undefined {
  return isText(value) ? value : undefined;
}
