import { InvalidArgumentError } from '@externalname/core';
import {
  dnsCacheSettings,
  type MigrationPlan,
  migrateFromExternalName,
  migrateToExternalName,
  parseManifests,
  type ServiceManifest,
  toYaml,
} from '@externalname/core/manifests';
import { clusterOptions } from '../cluster.ts';
import { choice, command, flag, mapped, number, text } from '../command.ts';
import { exitCodes } from '../exit-codes.ts';
import { checks, given, needed, pairs, ports } from '../manifest-options.ts';
import type { Output } from '../output.ts';
import { textOf } from '../stdin.ts';

/** The steps that change the type of a Service. */
export const migration = command({
  arguments: [{ name: '[file]', summary: 'manifest of the Service as it is; - or none for stdin', complete: 'files' }],
  options: {
    ...checks,
    to: text('--to <host>', 'host to point to'),
    clusterIp: flag('--cluster-ip', 'the other way: to a Service with a cluster IP'),
    headless: flag('--headless', 'the other way: to a headless Service'),
    ports: given(mapped(ports, (all) => all.map(({ port }) => ({ port })))),
    selector: given(pairs('--selector <key=value>', 'label of the pods behind it; repeatable')),
    output: choice('-o, --output <format>', 'how the plan is written', ['text', 'json', 'yaml']),
  },
  examples: [
    {
      command: 'create migration service.yaml --to primary-db.example.com',
      does: 'the steps, with their side effects',
    },
    {
      command: 'create migration service.yaml --cluster-ip --port 5432 --selector app=db',
      does: 'back into the cluster',
    },
  ],
  async run({ arguments: [file = '-'], options, output, stdin, signal }) {
    const { to, clusterIp, headless, ports: wanted, selector, output: _, ...target } = options;
    const [service] = parseManifests(await textOf(file, stdin, signal)).filter(({ kind }) => kind === 'Service');
    if (service === undefined) throw new InvalidArgumentError('file', 'has no Service');
    const current = service as ServiceManifest;
    const back = clusterIp ? 'ClusterIP' : headless ? 'headless' : undefined;
    if (back !== undefined && to !== undefined)
      throw new InvalidArgumentError('--to', 'cannot be used with --cluster-ip or --headless');
    if (back === undefined && to === undefined) throw new InvalidArgumentError('--to', 'is required here');
    const plan =
      back === undefined
        ? migrateToExternalName(current, { ...target, externalName: to ?? '' })
        : migrateFromExternalName(current, { to: back, ports: wanted, selector });
    if (output.isText) showPlan(output, plan);
    else output.data(plan);
    return exitCodes.ok;
  },
});

/** What a switch in so many seconds needs of the cluster's DNS. */
export const dnsCache = command({
  options: {
    seconds: needed(
      number('--seconds <n>', 'longest time from the patch until every new lookup sees the new target', {
        least: 2,
        most: 3_600,
        whole: true,
      }),
    ),
    clusterDomain: clusterOptions.clusterDomain,
    withoutNodeLocal: flag('--without-node-local', 'NodeLocal DNSCache does not run on the nodes'),
    clusterDns: text('--cluster-dns <address>', 'address of CoreDNS, for NodeLocal DNSCache'),
    output: choice('-o, --output <format>', 'how the settings are written', ['text', 'json', 'yaml']),
  },
  examples: [{ command: 'create dns-cache --seconds 10', does: 'what a switch in ten seconds needs' }],
  async run({ options, output }) {
    const { seconds, clusterDomain, withoutNodeLocal, clusterDns } = options;
    const settings = dnsCacheSettings({
      timeToSwitchSeconds: seconds,
      clusterDomain,
      nodeLocalDns: !withoutNodeLocal,
      clusterDnsAddress: clusterDns,
    });
    if (!output.isText) output.data(settings);
    else {
      for (const sentence of settings.explanation) output.paragraph(sentence, { indent: 2, first: '#' });
      output.raw(`\n# CoreDNS\n${settings.coreDns}`);
      if (settings.nodeLocalDns !== undefined) output.raw(`\n# NodeLocal DNSCache\n${settings.nodeLocalDns}`);
    }
    return exitCodes.ok;
  },
});

function showPlan(output: Output, { from, to, steps, result }: MigrationPlan): void {
  output.line(output.style('strong', `From ${from} to ${to}`));
  for (const [index, { description, command: shell, sideEffects }] of steps.entries()) {
    output.line();
    output.paragraph(description, { indent: 3, first: `${index + 1}.` });
    output.line(`   $ ${shell}`);
    for (const effect of sideEffects) output.paragraph(effect, { indent: 5, first: '   -' });
  }
  output.line();
  output.line(output.style('strong', 'Afterwards'));
  output.raw(toYaml(result));
}
