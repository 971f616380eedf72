import { DeadlineError, type Dependencies } from '@externalname/core';
import { abortable, dependenciesOf, printable, withDeadline } from '@externalname/core/internal';
import {
  type Probe,
  postgresProbe,
  SwitchRefusedError,
  type SwitchReport,
  switchTarget,
} from '@externalname/kubernetes';
import type { Confirmation, LeaderRecord } from '../confirm/confirmation.ts';
import { describe, type Hold, messageOf } from './hold.ts';
import type { SwitchLease } from './lease.ts';
import type { FollowSettings } from './options.ts';

/** See {@link switchToLeader}. */
export interface LeaderSwitch {
  readonly settings: FollowSettings;
  readonly lease: SwitchLease | undefined;
  /** The leader that the engine names. */
  readonly member: string;
  /** Where the Service points, as far as it is known. The patch is refused if it does not. */
  readonly from: string;
  /** The external name of the leader. */
  readonly to: string;
  readonly by: string;
  /** Asks the leader itself; undefined if the engine names another meanwhile. */
  readonly confirm: (signal: AbortSignal) => Promise<Confirmation | undefined>;
  readonly signal: AbortSignal;
}

/**
 * A switch that confirms the leader in its probes, so that it begins as soon as the engine names one. What else a switch has to read is read while the
 * leader is still being promoted, and there is nothing between the last probe and the patch.
 *
 * Returns the hold of a switch that was refused; rejects with what else keeps `switchTarget()` from switching.
 */
export async function switchToLeader(
  given: LeaderSwitch,
  dependencies: Dependencies,
): Promise<{ readonly report: SwitchReport; readonly record: LeaderRecord } | Hold> {
  const { settings, member, from, to, by, signal } = given;
  const { engine, service, namespace, clusterDomain, kubeConfig, allowedTargets, dnsServers } = settings;
  const told: { confirmation?: Confirmation | undefined } = {};
  const [leader, previous] = probesOf(given, told, dependencies);
  try {
    const report = await switchTarget(
      {
        service,
        namespace,
        clusterDomain,
        kubeConfig,
        allowedTargets,
        expect: from,
        to,
        by,
        reason: printable(`${engine.name} names ${member}`, 900),
        probes: { target: [leader], previous: [previous] },
        // Each part of them has its own.
        probeTimeoutMillis: 600_000,
        requestTimeoutMillis: settings.requestTimeoutMillis,
        propagationTimeoutMillis: dnsServers === false ? 2_000 : 90_000,
        dnsServers,
        dryRun: settings.dryRun,
        skip: ['dry-run', 'watch'],
        signal,
      },
      dependencies,
    );
    if (told.confirmation?.confirmed === true) return { report, record: told.confirmation.record };
    return { reason: 'service-unknown', detail: `the Service was pointed to ${to} in this moment: it is read again` };
  } catch (error) {
    if (!(error instanceof SwitchRefusedError)) throw error;
    const { confirmation } = told;
    if (confirmation?.confirmed === false) return { reason: confirmation.problem, detail: confirmation.detail };
    return { reason: 'switch-refused', detail: messageOf(error) };
  }
}

/** The probe of the leader, which takes as long as its promotion, and that of the old target, whose answer counts after it. */
function probesOf(
  { settings, lease, member, confirm }: LeaderSwitch,
  told: { confirmation?: Confirmation | undefined },
  dependencies: Dependencies,
): readonly [Probe, Probe] {
  const { engine, client, probeTimeoutMillis: timeoutMillis } = settings;
  const { clock } = dependenciesOf(dependencies);
  let isConfirmed = (_: boolean) => {};
  const confirmed = new Promise<boolean>((resolve) => {
    isConfirmed = resolve;
  });
  const leader: Probe = {
    name: 'engine',
    run: async (_host, { signal }) => {
      try {
        told.confirmation = await confirm(signal);
      } finally {
        isConfirmed(told.confirmation?.confirmed === true);
      }
      const { confirmation } = told;
      if (confirmation === undefined) return { ok: false, detail: 'the engine tells something else now' };
      if (!confirmation.confirmed) return { ok: false, detail: confirmation.detail };
      // Right before the patch: the engine still names this leader, and the Lease is still held, by the word of their servers.
      const [now] = await Promise.all([engine.read({ signal }), lease?.confirm(signal)]);
      const isSame = now.state === 'leader' && now.member === member;
      const { server } = confirmation;
      return { ok: isSame, detail: describe(now), ...(server !== undefined && { postgres: server }) };
    },
  };
  const fence = postgresProbe({ client });
  const previous: Probe = {
    name: fence.name,
    run: async (host, { signal }) => {
      const look = () =>
        withDeadline((bound) => fence.run(host, { signal: bound }), {
          signal,
          timeoutMillis,
          clock,
          onTimeout: () => new DeadlineError(`the answer of ${host}`, timeoutMillis),
        });
      // One that is gone without a word takes all the time of a look, so that begins while the new one is still being promoted.
      let isOver = false;
      const early = look().finally(() => {
        isOver = true;
      });
      early.catch(() => undefined);
      if (!(await abortable(confirmed, signal))) throw new Error('not asked: the leader is not confirmed');
      if (!isOver) await early;
      return look();
    },
  };
  return [leader, previous];
}
