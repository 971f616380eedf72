import type { WaitOptions } from '@externalname/core';
import type { KubeConfigOption } from '../api/kube-config.ts';
import type { ObjectionKind } from '../probes/postgres-state.ts';
import type { Probe } from '../probes/probe.ts';
import type { SwitchProgress } from './report.ts';

/** What {@link switchTarget} and {@link rollback} have in common. */
export interface SwitchOptions extends WaitOptions {
  /** `webscaler-db`, or with its namespace: `webscaler-db.default`. */
  service: string;
  /** Completes a short name. @defaultValue the one in `service`, else that of the kubeconfig's context or of the pod, else `default` */
  namespace?: string | undefined;
  /** The cluster's domain. @defaultValue the one in `service`, else that of resolv.conf, else `cluster.local` */
  clusterDomain?: string | undefined;
  /** Where the API is, and how to log in. @defaultValue as kubectl: the files that `KUBECONFIG` lists, else `~/.kube/config`, else the pod's service account */
  kubeConfig?: KubeConfigOption | undefined;
  /** The hosts that the Service may point to, the same list as in the applications; `'any'` must be spelled out. */
  allowedTargets: readonly string[] | 'any';
  /** Why, for the annotation and the Event. One line of at most 1000 characters, without control characters. */
  reason?: string | undefined;
  /** Who, for the annotation and the Event. As `reason`. @defaultValue the user that the API server sees */
  by?: string | undefined;
  /**
   * Checks to run before anything is changed. The old target is only probed if it is on the allow-list itself, because a probe
   * may send it credentials. @defaultValue none
   */
  probes?: { target?: readonly Probe[] | undefined; previous?: readonly Probe[] | undefined } | undefined;
  /** Longest time for one probe. Milliseconds, 1 to 600000. @defaultValue 5000 */
  probeTimeoutMillis?: number | undefined;
  /** How far a standby may lag behind the old target. Bytes of the write-ahead log, 0 or more. @defaultValue 0 */
  maxLagBytes?: number | undefined;
  /** Objections to ignore. The report lists them. @defaultValue none */
  accept?: readonly ObjectionKind[] | undefined;
  /**
   * How long to wait, before anything is changed, for a new target that is still a standby to be promoted. Meanwhile the probes run
   * again and again. Milliseconds, 0 to 3600000. @defaultValue 0: a standby is refused at once
   */
  waitForPromotionMillis?: number | undefined;
  /**
   * How long pools that watch the Service (`kubernetesSource()`) hold new work for this switch, at most: from the announcement, which is
   * written before the probes, until the Service points to the new target. Announce it if you wait for a promotion. Milliseconds, 0 to
   * 60000. @defaultValue 0: the switch is not announced
   */
  announceMillis?: number | undefined;
  /** Called as a step begins, while it waits, and when it is over. What it throws does not stop the switch. @defaultValue none */
  onProgress?: ((progress: SwitchProgress) => void) | undefined;
  /** Whether to stop before the Service is changed. @defaultValue false */
  dryRun?: boolean | undefined;
  /**
   * Steps to leave out, because they take time between the probes and the patch: `dry-run` asks the API server whether it would accept the patch, which
   * is guarded all the same; `watch` waits until a watch shows the new name. For programs that follow an engine. @defaultValue none
   */
  skip?: readonly ('dry-run' | 'watch')[] | undefined;
  /**
   * DNS servers that must answer with the new name, each by its own address (`10.96.0.10`, `127.0.0.1:5353`). The cluster's DNS
   * has one virtual address for several pods; list the pods to ask each of them. `false` waits for none.
   * @defaultValue the servers of resolv.conf in a pod, else none
   */
  dnsServers?: readonly string[] | false | undefined;
  /** Longest time for DNS and the watch to show the new name, after the patch. Milliseconds. @defaultValue 90000 */
  propagationTimeoutMillis?: number | undefined;
  /** Longest time for one request to the API. Milliseconds, 100 to 60000. @defaultValue 10000 */
  requestTimeoutMillis?: number | undefined;
}

/** See {@link switchTarget}. */
export interface SwitchTargetOptions extends SwitchOptions {
  /** The new target: a host name. */
  to: string;
  /** Where you believe the Service points now. If it points elsewhere, it is not changed. */
  expect?: string | undefined;
}
