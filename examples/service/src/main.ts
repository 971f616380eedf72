import { Pool } from '@externalname/pg';
import { LocalCluster, PostgresPair } from '@externalname/testing';
import { endOfProcess, serve } from './serve.ts';

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
const pool = new Pool({
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
const signal = endOfProcess();
signal.addEventListener('abort', () => {
  console.log('/readyz says 503 from now on. Requests are answered for 2 seconds, and then the process ends.');
});
const onListening = (url: string) => console.log(`Listens on ${url}. Ctrl-C ends it.`);
await serve(
  pool,
  { host: '127.0.0.1', port: Number(process.env['PORT'] ?? 8080), noticeMillis: 2000, onListening },
  signal,
);
