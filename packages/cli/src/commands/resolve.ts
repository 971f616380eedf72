import { setTimeout as sleep } from 'node:timers/promises';
import { DnsResolver, InvalidArgumentError } from '@externalname/core';
import { searchCandidates } from '@externalname/core/dns';
import { printable } from '@externalname/core/internal';
import { canonicalName } from '@externalname/core/names';
import { clusterOptions } from '../cluster.ts';
import { command, flag, number } from '../command.ts';
import type { NameAnswer } from '../doctor/facts.ts';
import { describeAnswer, millis } from '../doctor/page.ts';
import { exitCodes } from '../exit-codes.ts';
import { askNameserver, findNameservers, type Nameservers, nameserverOptions } from '../nameservers.ts';
import type { Output } from '../output.ts';
import { outputOption } from '../output-option.ts';
import { type Distribution, distribution } from '../percentiles.ts';

/** What each DNS server says about a name, and how fast. */
export const resolve = command({
  arguments: [
    {
      name: '<name>',
      summary: 'a Service (webscaler-db, webscaler-db.payments) or any host name',
      complete: 'services',
    },
  ],
  about:
    'Asks each DNS server by itself, past every cache of this machine. A short name is completed as a pod does it, by the search list.',
  options: {
    namespace: clusterOptions.namespace,
    clusterDomain: clusterOptions.clusterDomain,
    ...nameserverOptions,
    watch: flag('-w, --watch', 'ask again and again, and print what changes; Ctrl-C ends it'),
    count: number(
      '-c, --count <n>',
      'ask that often, and print percentiles for each name of the chain and each server',
      { least: 1, most: 1_000_000, whole: true },
    ),
    interval: number('--interval <seconds>', 'pause between two questions; default: 1 for --watch, 0 for --count', {
      least: 0,
      most: 3_600,
    }),
    timeout: number('--timeout <seconds>', 'longest time for one question; default: 2', { above: 0, most: 60 }),
    output: outputOption,
  },
  examples: [
    { command: 'resolve webscaler-db --nameserver 10.96.0.10', does: 'the chain, hop by hop' },
    { command: 'resolve webscaler-db.payments --watch', does: 'see a switch arrive in DNS' },
    { command: 'resolve webscaler-db --count 1000 -o json', does: 'measure before going live' },
  ],
  async run({ arguments: [written = ''], options, output, signal }) {
    const nameservers = await findNameservers(options);
    const name = await fullName(written, options, nameservers);
    const timeoutMillis = (options.timeout ?? 2) * 1_000;
    const askAll = () =>
      Promise.all(nameservers.servers.map((server) => askNameserver(server, name, { signal, timeoutMillis })));
    const pauseMillis = (options.interval ?? (options.watch ? 1 : 0)) * 1_000;
    if (options.watch) {
      if (options.count !== undefined) throw new InvalidArgumentError('--count', 'cannot be used with --watch');
      return watch(output, askAll, pauseMillis, signal);
    }
    const answers = await output.progress(`asking ${nameservers.servers.length} DNS servers for ${name}`, askAll);
    if (options.count !== undefined) {
      const measured = await output.progress(`asking ${options.count} times`, () =>
        measure({ answers, count: options.count ?? 1, pauseMillis, timeoutMillis, signal }),
      );
      showMeasured(output, measured);
      return measured.every(({ failed }) => failed === 0) ? exitCodes.ok : exitCodes.failed;
    }
    if (output.isText) for (const answer of answers) showAnswer(output, answer);
    else output.data({ name, answers });
    return answers.every(({ outcome }) => outcome === 'addresses') ? exitCodes.ok : exitCodes.failed;
  },
});

/** As a pod would complete it: a trailing dot means that it is complete, otherwise the first candidate that exists counts. */
async function fullName(
  written: string,
  { namespace, clusterDomain }: { readonly namespace: string | undefined; readonly clusterDomain: string | undefined },
  { from, servers, pod, namespace: podNamespace, clusterDomain: podDomain }: Nameservers,
): Promise<string> {
  if (written.endsWith('.')) return canonicalName(written);
  const domain = clusterDomain ?? podDomain ?? 'cluster.local';
  const own = namespace ?? podNamespace ?? 'default';
  const searchDomains =
    pod !== undefined && namespace === undefined
      ? pod.searchDomains
      : from === 'cluster'
        ? [`${own}.svc.${domain}`, `svc.${domain}`, domain]
        : [];
  const resolver = new DnsResolver({
    nameservers: [...servers],
    searchDomains: [...searchDomains],
    ndots: pod?.ndots ?? 5,
    cache: false,
    hostsPath: '/dev/null',
  });
  try {
    return (await resolver.resolveHost(written)).name;
  } catch {
    // Of a name that has no address, the first candidate is shown: with its chain, or with NXDOMAIN.
    return (
      searchCandidates(written, { searchDomains, ndots: written.split('.').length > 2 ? 1 : 5 })[0] ??
      canonicalName(written)
    );
  } finally {
    await resolver.close();
  }
}

async function watch(
  output: Output,
  askAll: () => Promise<readonly NameAnswer[]>,
  pauseMillis: number,
  signal: AbortSignal,
): Promise<number> {
  const last = new Map<string, string>();
  for (;;) {
    for (const answer of await askAll()) {
      const { server, outcome, chain, addresses } = answer;
      const said = JSON.stringify([
        outcome,
        chain.map(({ target }) => target),
        addresses.map(({ address }) => address).sort(),
      ]);
      if (last.get(server) === said) continue;
      last.set(server, said);
      const at = new Date().toISOString();
      if (output.isText)
        output.line(output.style(outcome === 'addresses' ? 'plain' : 'bad', `${at}  ${describeAnswer(answer)}`));
      else output.item({ at, ...answer });
    }
    await sleep(pauseMillis, undefined, { signal });
  }
}

/** The chain of one server. In a pipe a record is one line; on a terminal, where long names do not fit beside each other, each name has a line. */
export function showAnswer(
  output: Output,
  { server, name, outcome, detail, chain, addresses, elapsedMillis }: NameAnswer,
): void {
  const last = chain.at(-1)?.target ?? name;
  const records = [
    ...chain.map(
      (hop) => [hop.name, 'CNAME', `${hop.ttlSeconds} s`, millis(hop.elapsedMillis), printable(hop.target)] as const,
    ),
    ...addresses.map(({ address, family, ttlSeconds }) => {
      return [last, family === 4 ? 'A' : 'AAAA', `${ttlSeconds} s`, '', address] as const;
    }),
  ];
  output.line(output.style('strong', `${server}  ${millis(elapsedMillis)}`));
  if (output.interactive) {
    for (const [owner, ...record] of records) {
      output.line(`  ${printable(owner)}`);
      output.table([record], { indent: 4, widths: [5, 6, 7] });
    }
  } else output.table(records, { indent: 2 });
  if (outcome !== 'addresses') output.line(`  ${output.style('bad', `${last}: ${detail}`)}`);
}

/** The answers of one server about one name of the chain. */
export interface Measured {
  readonly server: string;
  readonly name: string;
  readonly asked: number;
  readonly failed: number;
  /** Of the answers, in milliseconds. */
  readonly millis: Distribution | undefined;
  /** How often each failure came. */
  readonly failures: Readonly<Record<string, number>>;
}

interface MeasureOptions {
  readonly answers: readonly NameAnswer[];
  readonly count: number;
  readonly pauseMillis: number;
  readonly timeoutMillis: number;
  readonly signal: AbortSignal;
}

/** Asks each server for each name of the chain, one question at a time: the servers at the same time. */
async function measure({
  answers,
  count,
  pauseMillis,
  timeoutMillis,
  signal,
}: MeasureOptions): Promise<readonly Measured[]> {
  const longest = answers.reduce((one, other) => (other.chain.length > one.chain.length ? other : one));
  const names = [longest.name, ...longest.chain.map(({ target }) => target)];
  const perServer = await Promise.all(
    answers.map(async ({ server }) => {
      const found = names.map((name) => ({ name, times: [] as number[], failures: {} as Record<string, number> }));
      for (let round = 0; round < count; round++) {
        for (const { name, times, failures } of found) {
          const { outcome, failure, elapsedMillis } = await askNameserver(server, name, { signal, timeoutMillis });
          if (outcome === 'addresses') times.push(elapsedMillis);
          else failures[failure ?? outcome] = (failures[failure ?? outcome] ?? 0) + 1;
        }
        if (pauseMillis > 0) await sleep(pauseMillis, undefined, { signal });
      }
      return found.map(
        ({ name, times, failures }): Measured => ({
          server,
          name,
          asked: count,
          failed: count - times.length,
          millis: distribution(times),
          failures,
        }),
      );
    }),
  );
  return perServer.flat();
}

/** Percentiles, a name of the chain at one server a line. */
export function showMeasured(output: Output, measured: readonly Measured[]): void {
  if (!output.isText) {
    output.data({ measured });
    return;
  }
  const head = ['SERVER', 'ASKED', 'FAILED', 'P50 MS', 'P90', 'P99', 'MAX'];
  const rows = measured.map(({ server, asked, failed, millis: times, failures }) => {
    const why = Object.entries(failures).map(([failure, count]) => `${failure} ${count}`);
    const shown =
      times === undefined ? [] : [times.p50, times.p90, times.p99, times.max].map((time) => time.toFixed(1));
    const share = why.length === 0 ? '0' : `${failed} (${why.join(', ')})`;
    return [server, String(asked), share, ...(times === undefined ? ['-', '-', '-', '-'] : shown)];
  });
  const tones = measured.map(({ failed }) => (failed > 0 ? ('bad' as const) : ('plain' as const)));
  if (!output.interactive) {
    output.table([[...head, 'NAME'], ...rows.map((row, index) => [...row, measured[index]?.name ?? ''])]);
    return;
  }
  for (const name of new Set(measured.map((each) => each.name))) {
    const own = measured.flatMap((each, index) => (each.name === name ? [index] : []));
    output.line(output.style('strong', name));
    output.table([head, ...own.map((index) => rows[index] ?? [])], {
      indent: 2,
      tones: ['faint', ...own.map((index) => tones[index] ?? 'plain')],
    });
  }
}
