import { createLookup, DnsResolver, DnsTargetSource, FirstAvailableTargetSource } from '@externalname/core';
import { externalNameService } from '@externalname/core/manifests';
import { kubernetesSource, resolvesProbe, rollback, type SwitchReport, switchTarget } from '@externalname/kubernetes';
import { LocalCluster } from '@externalname/testing';

/** Switches a Service of a cluster in this process, sees the switch pushed, is refused a wrong one, and goes back. */
export async function tour(print: (line: string) => void): Promise<void> {
  const primary = 'primary-db.example.com';
  const secondary = 'secondary-db.example.com';
  await using cluster = await LocalCluster.start({
    services: [externalNameService({ name: 'webscaler-db', namespace: 'default', externalName: primary })],
    hosts: { [primary]: ['192.0.2.10'], [secondary]: ['192.0.2.20'] },
  });
  const kubeConfig = await cluster.writeKubeconfig();
  await using resolver = new DnsResolver({ nameservers: [cluster.nameserver] });

  // The watch pushes; where the API is out of reach, DNS carries on.
  await using source = new FirstAvailableTargetSource([
    kubernetesSource({ service: 'webscaler-db', kubeConfig }),
    new DnsTargetSource({ service: 'webscaler-db', resolver }),
  ]);
  source.subscribe((target) => print(`  pushed: ${target.externalName} (from ${target.source})`));
  print(`webscaler-db points to ${(await source.current()).externalName}`);

  const options = {
    service: 'webscaler-db',
    kubeConfig,
    allowedTargets: [primary, secondary],
    by: 'on-call',
    probes: { target: [resolvesProbe({ lookup: createLookup(resolver) })] },
    dnsServers: [cluster.nameserver],
  };

  print('\n# A switch');
  describe(await switchTarget({ ...options, expect: primary, to: secondary, reason: 'region down' }), print);

  print('\n# The same again');
  const again = await switchTarget({ ...options, expect: primary, to: secondary });
  print(`  ${again.result}: it points there already`);

  print('\n# A host that is not allowed');
  await switchTarget({ ...options, to: 'db.example.org' }).catch((error: Error) => print(`  ${error.message}`));

  print('\n# Back again');
  describe(await rollback(options), print);
  print(`\nwebscaler-db points to ${(await source.current({ fresh: true })).externalName}`);
}

function describe(report: SwitchReport, print: (line: string) => void): void {
  print(`  ${report.from} -> ${report.to}: ${report.result}, by ${report.by}`);
  for (const { step, state, detail } of report.steps) print(`  ${step.padEnd(8)} ${state.padEnd(8)} ${detail}`);
  for (const warning of report.warnings) print(`  warning: ${warning}`);
}
