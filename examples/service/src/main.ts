import { Pool } from '@externalname/pg';
import { LocalCluster, PostgresPair } from '@externalname/testing';
import { createService } from './service.ts';

await using pair = await PostgresPair.start();
await using cluster = await LocalCluster.start({
  ttlSeconds: 1,
  hosts: pair.hosts,
  services: [
    {
      metadata: { name: 'webscaler-db', namespace: 'default' },
      spec: { type: 'ExternalName', externalName: pair.primary.hostName },
    },
  ],
});
await using pool = new Pool({
  service: 'webscaler-db',
  allowedTargets: ['primary-db.example.com', 'secondary-db.example.com'],
  allowedNetworks: ['127.0.0.0/8'],
  dns: { nameservers: [cluster.nameserver] },
  port: pair.port,
  user: pair.user,
  password: pair.password,
  database: pair.database,
  ssl: { ca: pair.ca },
  readySessions: 1,
});
const app = createService(pool);
console.log(`Listens on ${await app.listen({ port: Number(process.env['PORT'] ?? 8080) })}. Ctrl-C ends it.`);
await new Promise((resolve) => {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, resolve);
});
await app.close();
