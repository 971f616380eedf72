import { once } from 'node:events';
import https from 'node:https';
import { createCertificateAuthority } from '@externalname/testing';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { site as places } from '../../examples/webscaler/src/network/network.ts';
import { delayDatabases } from '../../examples/webscaler/src/network/webscaler-site.ts';
import { openTestSite, type TestSite } from './support/site.ts';

const port = 8443;
const url = `https://webscaler-db:${port}`;
const hosts = [
  { name: 'primary-db.example.com', address: places.databases.primary.ipv4 },
  { name: 'secondary-db.example.com', address: places.databases.standby.ipv4 },
];
let site: TestSite;
let ca: string;
const servers: https.Server[] = [];
const undo: AsyncDisposable[] = [];

beforeAll(async () => {
  site = await openTestSite({ ttlSeconds: 1 });
  const authority = await createCertificateAuthority();
  ca = authority.certificate;
  for (const { name, address } of hosts) {
    const { certificate: cert, privateKey: key } = await authority.issue({ hostNames: [name] });
    const server = https.createServer({ cert, key }, (request, response) => {
      request.resume().on('end', () => setTimeout(() => response.end(`${name} ${request.headers.host}`), 20));
    });
    server.listen(port, address);
    await once(server, 'listening');
    servers.push(server);
  }
});
afterEach(async () => {
  await site.app.call('closeHttp', 'http');
  for (const one of undo.splice(0).reverse()) await one[Symbol.asyncDispose]();
  await site.point('primary-db.example.com');
});
afterAll(async () => {
  for (const server of servers) {
    server.close();
    server.closeAllConnections();
  }
  await site?.[Symbol.asyncDispose]();
});

describe.each([0, 50])('HTTPS from a pod to a host that is %i ms away', (millis) => {
  it('is verified, and loses no request in a switch', async () => {
    if (millis > 0) undo.push(await delayDatabases(site.network, millis, port));
    await site.app.call('openHttp', 'http', { allowedTargets: hosts.map(({ name }) => name), ca });
    const begun = performance.now();
    expect(await site.app.call('get', 'http', url)).toBe(`primary-db.example.com primary-db.example.com:${port}`);
    // TLS and the request are two round trips.
    expect(performance.now() - begun).toBeGreaterThan(2 * millis);
    const load = site.app.call('load', 'http', url, 3_000);
    await site.point('secondary-db.example.com');
    const { answers, failures } = await load;
    expect(failures).toEqual([]);
    expect(answers.at(-1)).toBe(`secondary-db.example.com secondary-db.example.com:${port}`);
    expect(new Set(answers).size).toBe(2);
  });
});

it('goes to no host that is not allowed, and to none whose certificate is not trusted', async () => {
  await site.app.call('openHttp', 'http', { allowedTargets: ['secondary-db.example.com'], ca });
  const refused = site.app.call('get', 'http', url);
  await expect(refused).rejects.toMatchObject({ code: 'ERR_EXTERNALNAME_TARGET_REFUSED', outcome: 'not-executed' });
  await site.app.call('closeHttp', 'http');
  await site.app.call('openHttp', 'http', { allowedTargets: hosts.map(({ name }) => name) });
  const untrusted = site.app.call('get', 'http', url);
  await expect(untrusted).rejects.toMatchObject({ code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE', outcome: 'not-executed' });
});
