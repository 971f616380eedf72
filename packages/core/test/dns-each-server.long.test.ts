import { DnsResolver, systemClock } from '@externalname/core';
import { shareDns } from '@externalname/core/internal';
import { afterEach, describe, expect, it } from 'vitest';
import { a, cname, rcodes, type Script, ScriptedDnsServer, zoneScript } from './scripted-dns-server.ts';

const service = 'webscaler-db.default.svc.cluster.local';
const primary = 'primary-db.example.com';
const opened: { close(): Promise<void> }[] = [];

afterEach(async () => {
  for (const one of opened.splice(0).reverse()) await one.close();
});

async function serversOf(...scripts: readonly Script[]): Promise<readonly ScriptedDnsServer[]> {
  const servers = await Promise.all(scripts.map((script) => ScriptedDnsServer.start(script)));
  opened.push(...servers);
  return servers;
}

const at = (address: string) => zoneScript([cname(service, primary), a(primary, address)]);

describe('each nameserver, asked by itself', () => {
  it('says what it says, along the whole chain, and one that is silent holds up no other', async () => {
    const servers = await serversOf(
      at('192.0.2.1'),
      at('192.0.2.2'),
      () => ({ rcode: rcodes.nxdomain }),
      () => ({ rcode: rcodes.servfail }),
      () => undefined,
    );
    const resolver = new DnsResolver({ nameservers: servers.map(({ text }) => text) });
    opened.push(resolver);
    const answers = await resolver.resolveAtEach(service, { family: 4, timeoutMillis: 300 });
    expect([...answers.keys()]).toEqual(servers.map(({ text }) => text));
    expect([...answers.values()].map((addresses) => addresses?.map(({ address }) => address))).toEqual([
      ['192.0.2.1'],
      ['192.0.2.2'],
      [],
      undefined,
      undefined,
    ]);
  });

  it('is asked again each time, and does not change what is known of the name', async () => {
    const [server] = await serversOf(at('192.0.2.1'));
    const resolver = new DnsResolver({ nameservers: [server?.text ?? ''] });
    opened.push(resolver);
    await resolver.resolve(service, { family: 4 });
    if (server !== undefined) server.script = at('192.0.2.2');
    const answers = await resolver.resolveAtEach(service, { family: 4, timeoutMillis: 1_000 });
    expect([...answers.values()]).toMatchObject([[{ address: '192.0.2.2' }]]);
    expect((await resolver.resolve(service, { family: 4 })).addresses).toMatchObject([{ address: '192.0.2.1' }]);
  });

  it('is not waited for when the resolver is closed, or the caller has enough', async () => {
    const [server] = await serversOf(() => undefined);
    const resolver = new DnsResolver({ nameservers: [server?.text ?? ''] });
    const controller = new AbortController();
    const given = resolver.resolveAtEach(service, { signal: controller.signal });
    controller.abort(new Error('enough'));
    await expect(given).rejects.toThrow('enough');
    const closed = expect(resolver.resolveAtEach(service)).rejects.toMatchObject({ code: 'ERR_EXTERNALNAME_CLOSED' });
    await resolver.close();
    await closed;
  });
});

describe('addresses that have left a name, with real nameservers', () => {
  it('are told of when both say so, and not before', async () => {
    const records = (address: string) => zoneScript([a(primary, address, 1)]);
    const [one, other] = await serversOf(records('192.0.2.1'), records('192.0.2.1'));
    const nameservers = [one?.text ?? '', other?.text ?? ''];
    const part = shareDns({ nameservers }, { clock: systemClock, random: Math.random });
    opened.push(part);
    const left: string[] = [];
    part.watchAddresses(primary, { inUse: () => ['192.0.2.1'], left: (addresses) => left.push(...addresses) });
    // Eight answers, so that what comes after is a change.
    await expect.poll(() => one?.queries.length, { timeout: 20_000 }).toBeGreaterThan(18);
    if (one !== undefined) one.script = records('192.0.2.2');
    await expect.poll(() => other?.queries.length, { timeout: 20_000 }).toBeGreaterThan(0);
    expect(left).toEqual([]);
    if (other !== undefined) other.script = records('192.0.2.2');
    await expect.poll(() => left, { timeout: 20_000 }).toContain('192.0.2.1');
  }, 60_000);
});
