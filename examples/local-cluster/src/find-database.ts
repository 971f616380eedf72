import { Resolver } from 'node:dns/promises';

/** The code under test: where the database is right now, as any program learns it from the cluster's DNS. */
export async function findDatabase(nameserver: string): Promise<string> {
  const resolver = new Resolver({ timeout: 1000, tries: 1 });
  resolver.setServers([nameserver]);
  const [address] = await resolver.resolve4('webscaler-db.default.svc.cluster.local');
  if (address === undefined) throw new Error('webscaler-db leads to no address');
  return address;
}
