import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Pool } from '@externalname/pg';
import { LocalCluster, PostgresPair } from '@externalname/testing';
import { expect, it } from 'vitest';
import { serve } from '../../examples/service/src/serve.ts';

it('the example of a service ends without losing a request: not ready, the last answers, and then the pool', async () => {
  await using pair = await PostgresPair.start();
  await using cluster = await LocalCluster.start({
    hosts: pair.hosts,
    services: [
      {
        metadata: { name: 'webscaler-db', namespace: 'default' },
        spec: { type: 'ExternalName', externalName: pair.primary.hostName },
      },
    ],
  });
  const { port, user, password, database, ca } = pair;
  const pool = new Pool({
    service: 'webscaler-db',
    allowedTargets: ['primary-db.example.com'],
    allowedNetworks: ['127.0.0.0/8'],
    dns: { nameservers: [cluster.nameserver] },
    port,
    user,
    password,
    database,
    ssl: { ca },
    max: 1,
  });
  const ending = new AbortController();
  let onListening = (_url: string): void => undefined;
  const listening = new Promise<string>((resolve) => {
    onListening = resolve;
  });
  let endNotice: (() => void) | undefined;
  const sleep = (millis: number) => {
    expect(millis).toBe(5_000);
    return new Promise<void>((resolve) => {
      endNotice = resolve;
    });
  };
  const options = { host: '127.0.0.1', port: 0, noticeMillis: 5_000, onListening, sleep };
  const served = serve(pool, options, ending.signal);
  const url = await listening;
  // The probe has less than a second, and the first connection of a busy machine may take longer: it is asked again, as Kubernetes does.
  await expect.poll(async () => (await fetch(`${url}/readyz`)).status, { timeout: 30_000 }).toBe(200);

  // The only connection is in use, so that the next request waits.
  const client = await pool.connect();
  const waiting = fetch(`${url}/work`);
  await expect.poll(() => pool.waitingCount).toBe(1);
  ending.abort();
  const ready = await fetch(`${url}/readyz`);
  expect([ready.status, await ready.json()]).toEqual([503, { ready: false, reason: 'the process is ending' }]);
  expect((await fetch(`${url}/healthz`)).status).toBe(200);
  // For those that have not noticed yet, it serves.
  const late = fetch(`${url}/work`);
  await expect.poll(() => pool.waitingCount).toBe(2);
  endNotice?.();
  await expect
    .poll(
      () =>
        fetch(`${url}/healthz`).then(
          () => 'taken',
          () => 'refused',
        ),
      { timeout: 10_000 },
    )
    .toBe('refused');
  expect(pool.ended).toBe(false);
  client.release();
  for (const { status, headers } of [await waiting, await late]) {
    // A connection that is kept alive would hold up the end.
    expect([status, headers.get('connection')]).toEqual([200, 'close']);
  }
  await served;
  expect(pool.ended).toBe(true);
});

it('the image of the example installs the versions that are tested', () => {
  const folder = resolve(import.meta.dirname, '../../examples/service');
  const image = readFileSync(join(folder, 'Dockerfile'), 'utf8');
  const { dependencies } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
    dependencies: Record<string, string>;
  };
  for (const [name, version] of Object.entries(dependencies)) {
    if (!version.startsWith('workspace:')) expect(image).toContain(` ${name}@${version}`);
  }
});
