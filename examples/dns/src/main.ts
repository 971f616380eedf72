import { parseArgs } from 'node:util';
import { DnsResolver, discoverClusterContext, parseServiceReference } from '@externalname/core';
import { drawPicture } from './drawing.ts';
import { measureService } from './measure.ts';
import { tour } from './tour.ts';

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { nameserver: { type: 'string', multiple: true }, namespace: { type: 'string' } },
});
const [service] = positionals;

if (service === undefined) {
  await tour(console.log);
} else {
  const resolver = new DnsResolver({ nameservers: values.nameserver });
  const { namespace, clusterDomain } = discoverClusterContext(resolver);
  const reference = parseServiceReference(service, { namespace: values.namespace ?? namespace, clusterDomain });
  console.log(drawPicture(await measureService(resolver, reference.fullName)));
  await resolver.close();
}
