import { InvalidArgumentError } from '@externalname/core';
import { printable } from '@externalname/core/internal';
import type { MeasuredName, NameAnswer } from '@externalname/doctor';
import { clusterOptions } from '../cluster.ts';
import { command, flag, number } from '../command.ts';
import { shortMillis } from '../duration.ts';
import { exitCodes } from '../exit-codes.ts';
import { nameserverOptions, nameserversOf } from '../nameservers.ts';
import type { Output } from '../output.ts';
import { outputOption } from '../output-option.ts';

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
  async run({ arguments: [name = ''], options, output, signal }) {
    const { describeAnswer, measureName, traceName, watchName } = await import('@externalname/doctor');
    const { namespace, clusterDomain, count, timeout, interval } = options;
    const timeoutMillis = timeout === undefined ? undefined : timeout * 1_000;
    const asked = { name, namespace, clusterDomain, timeoutMillis, ...nameserversOf(options), signal };
    const pauseMillis = interval === undefined ? undefined : interval * 1_000;
    if (options.watch) {
      if (count !== undefined) throw new InvalidArgumentError('--count', 'cannot be used with --watch');
      return watchName({
        ...asked,
        intervalMillis: pauseMillis,
        onAnswer: (answer) => {
          const tone = answer.outcome === 'addresses' ? 'plain' : 'bad';
          if (output.isText) output.line(output.style(tone, `${answer.at}  ${describeAnswer(answer)}`));
          else output.item(answer);
        },
      });
    }
    if (count !== undefined) {
      const work = () => measureName({ ...asked, count, pauseMillis });
      const { measured } = await output.progress(`asking ${count} times for ${name}`, work);
      showMeasured(output, measured);
      return measured.every(({ failed }) => failed === 0) ? exitCodes.ok : exitCodes.failed;
    }
    const trace = await output.progress(`asking for ${name}`, () => traceName(asked));
    if (output.isText) for (const answer of trace.answers) showAnswer(output, answer);
    else output.data(trace);
    return trace.answers.every(({ outcome }) => outcome === 'addresses') ? exitCodes.ok : exitCodes.failed;
  },
});

/** The chain of one server. In a pipe a record is one line; on a terminal, where long names do not fit beside each other, each name has a line. */
export function showAnswer(
  output: Output,
  { server, name, outcome, detail, chain, addresses, elapsedMillis }: NameAnswer,
): void {
  const last = chain.at(-1)?.target ?? name;
  const records = [
    ...chain.map(
      (hop) =>
        [hop.name, 'CNAME', `${hop.ttlSeconds} s`, shortMillis(hop.elapsedMillis), printable(hop.target)] as const,
    ),
    ...addresses.map(({ address, family, ttlSeconds }) => {
      return [last, family === 4 ? 'A' : 'AAAA', `${ttlSeconds} s`, '', address] as const;
    }),
  ];
  output.line(output.style('strong', `${server}  ${shortMillis(elapsedMillis)}`));
  if (output.interactive) {
    for (const [owner, ...record] of records) {
      output.line(`  ${printable(owner)}`);
      output.table([record], { indent: 4, widths: [5, 6, 7] });
    }
  } else output.table(records, { indent: 2 });
  if (outcome !== 'addresses') output.line(`  ${output.style('bad', `${last}: ${detail}`)}`);
}

/** Percentiles, a name of the chain at one server a line. */
export function showMeasured(output: Output, measured: readonly MeasuredName[]): void {
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
