import { DeadlineError } from '@externalname/core';
import { withDeadline } from '@externalname/core/internal';
import type { KubeConfigLike } from '../kubeconfig/kube-config-like.ts';
import { kubernetesSource } from '../watch/watch-source.ts';
import type { SwitchOptions } from './options.ts';
import type { SwitchSettings } from './settings.ts';

/** A watch that is open before the patch is sent. */
export interface WatchPropagation extends AsyncDisposable {
  /** The patch was answered: time counts from now. */
  start(): void;
  /** How long after the start the new name was seen, in milliseconds; 0 if it was seen before. Rejects if it is not seen. */
  seen(signal: AbortSignal | undefined): Promise<number>;
}

/** Starts to watch the Service in the cluster of the switch, so that it sees the switch to `to` as a pool with a watch does. */
export async function waitForWatch(
  kubeConfig: KubeConfigLike,
  options: SwitchOptions,
  settings: SwitchSettings,
  to: string,
): Promise<WatchPropagation> {
  const { service, namespace, clusterDomain, signal: switchSignal } = options;
  const { requestTimeoutMillis, propagationTimeoutMillis, clock, random } = settings;
  const watched = { service, namespace, clusterDomain, kubeConfig, requestTimeoutMillis };
  const source = kubernetesSource(watched, { clock, random });
  let onSeen = (_at: number) => {};
  const switched = new Promise<number>((resolve) => {
    onSeen = resolve;
  });
  source.subscribe((target) => {
    if (target.externalName === to) onSeen(clock.now());
  });
  let startedAt = clock.now();
  // This fails if the caller may not watch; `seen` then reports why, after the switch.
  await source.current({ signal: switchSignal }).catch(() => undefined);
  return {
    start() {
      startedAt = clock.now();
    },
    async seen(signal) {
      const { stale } = await source.current({ signal });
      if (stale) throw new Error('the watch is not available');
      const seenAt = await withDeadline(() => switched, {
        signal,
        timeoutMillis: propagationTimeoutMillis,
        clock,
        onTimeout: () => new DeadlineError('seeing the new name through the watch', propagationTimeoutMillis),
      });
      return Math.max(0, Math.round(seenAt - startedAt));
    },
    [Symbol.asyncDispose]: () => source.close(),
  };
}
