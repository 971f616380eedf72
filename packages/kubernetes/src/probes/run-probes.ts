import { type Clock, DeadlineError, type WaitOptions } from '@externalname/core';
import { printable, withDeadline } from '@externalname/core/internal';
import { judgePostgres, type Objection } from './postgres-state.ts';
import type { Probe, ProbeResult } from './probe.ts';

/** See {@link runProbes}. */
export interface RunProbesOptions extends WaitOptions {
  target: { readonly host: string; readonly probes: readonly Probe[] };
  previous: { readonly host: string; readonly probes: readonly Probe[] };
  maxLagBytes: number;
  /** For each probe. */
  timeoutMillis: number;
  clock: Clock;
}

/**
 * Probes both targets at the same time, and returns the reasons against the switch. An old target that does not answer is the usual
 * reason for a switch, so it is not an objection.
 */
export async function runProbes(
  options: RunProbesOptions,
): Promise<{ results: ProbeResult[]; objections: Objection[] }> {
  const runAll = ({ host, probes }: { host: string; probes: readonly Probe[] }) =>
    Promise.all(probes.map((probe) => runOne(probe, host, options)));
  const [target, previous] = await Promise.all([runAll(options.target), runAll(options.previous)]);
  const failed = target
    .filter(({ ok }) => !ok)
    .map(({ probe, host, detail }): Objection => ({ kind: 'probe-failed', message: `${probe} of ${host}: ${detail}` }));
  const [one] = target.flatMap(({ postgres }) => postgres ?? []);
  const [other] = previous.flatMap(({ postgres }) => postgres ?? []);
  const compared = one === undefined ? [] : judgePostgres(one, other, options.maxLagBytes);
  return { results: [...target, ...previous], objections: [...failed, ...compared] };
}

async function runOne(probe: Probe, host: string, options: RunProbesOptions): Promise<ProbeResult> {
  const { signal, timeoutMillis, clock } = options;
  const startedAt = clock.now();
  const elapsedMillis = () => Math.round(clock.now() - startedAt);
  try {
    const finding = await withDeadline((probeSignal) => probe.run(host, { signal: probeSignal }), {
      signal,
      timeoutMillis,
      clock,
      onTimeout: () => new DeadlineError(`probe ${probe.name} of ${host}`, timeoutMillis),
    });
    // A probe quotes the server, and the detail is shown in a terminal.
    const detail = printable(finding.detail);
    return { ...finding, detail, probe: probe.name, host, elapsedMillis: elapsedMillis() };
  } catch (error) {
    signal?.throwIfAborted();
    return { ok: false, detail: printable(describe(error)), probe: probe.name, host, elapsedMillis: elapsedMillis() };
  }
}

// An AggregateError of Node.js (one entry an address) has no message of its own.
function describe(error: unknown): string {
  if (error instanceof AggregateError && error.message === '') return error.errors.map(describe).join('; ');
  return error instanceof Error ? error.message : String(error);
}
