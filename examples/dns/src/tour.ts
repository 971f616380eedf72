import { DnsResolver } from '@externalname/core';
import { LocalCluster } from '@externalname/testing';
import { drawPicture } from './drawing.ts';
import { measureService } from './measure.ts';

const service = 'webscaler-db.default.svc.cluster.local';

/**
 * The webscaler database through its life, on a cluster in this process whose outside world answers after 20 ms: in order, switched, switched
 * to a host that does not exist, and with the provider's DNS out of order.
 */
export async function tour(print: (text: string) => void): Promise<void> {
  const cluster = await LocalCluster.start({
    services: [
      {
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name: 'webscaler-db', namespace: 'default' },
        spec: { type: 'ExternalName', externalName: 'primary-db.example.com' },
      },
    ],
    hosts: { 'primary-db.example.com': ['192.0.2.10'], 'secondary-db.example.com': ['198.51.100.20', '2001:db8::20'] },
  });
  const resolver = new DnsResolver({ nameservers: [`${cluster.dns.address}:${cluster.dns.port}`] });
  const show = async (title: string) => {
    print(`\n# ${title}\n`);
    print(drawPicture(await measureService(resolver, service)));
  };
  const point = async (externalName: string) => {
    const patch = [{ op: 'replace', path: '/spec/externalName', value: externalName }] as const;
    await cluster.services.patch('default', 'webscaler-db', patch);
    await cluster.dns.caughtUp();
  };
  try {
    for (const name of ['primary-db.example.com', 'secondary-db.example.com']) {
      cluster.dns.fault({ kind: 'slow', name, delayMillis: 20 });
    }
    await show('The service points at the primary');
    await point('secondary-db.example.com');
    await show('Patched: it points at the secondary');
    await point('third-db.example.com');
    await show('Patched with a typing error: the target does not exist');
    await point('primary-db.example.com');
    cluster.dns.fault({ kind: 'servfail', name: 'primary-db.example.com' });
    await show("The provider's DNS is out of order");
  } finally {
    await resolver.close();
    await cluster.close();
  }
}
