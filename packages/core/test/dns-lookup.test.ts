import { spawn } from 'node:child_process';
import dns, { type LookupOptions } from 'node:dns';
import { once } from 'node:events';
import { Agent, createServer, get } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { createLookup, DnsResolver } from '@externalname/core';
import { afterEach, describe, expect, it } from 'vitest';
import { a, aaaa, cname, rcodes, type Script, ScriptedDnsServer, zoneScript } from './scripted-dns-server.ts';

const service = 'webscaler-db.default.svc.cluster.local';
const primary = 'primary-db.example.com';
const opened: { close(): Promise<void> }[] = [];
const bothFamilies = zoneScript([
  cname(service, primary),
  a(primary, '192.0.2.10'),
  a(primary, '192.0.2.11'),
  aaaa(primary, '2001:db8::10'),
]);

async function lookupOf(script: Script) {
  const server = await ScriptedDnsServer.start(script);
  const resolver = new DnsResolver({
    nameservers: [server.text],
    searchDomains: ['default.svc.cluster.local'],
    ndots: 5,
    timeoutMillis: 5000,
    attempts: 1,
  });
  opened.push(server, resolver);
  const lookup = createLookup(resolver);
  const all = (name: string, options: LookupOptions = {}) =>
    promisify(lookup)(name, { ...options, all: true }) as Promise<dns.LookupAddress[]>;
  return { server, resolver, lookup, all };
}

afterEach(async () => {
  for (const one of opened.splice(0).reverse()) await one.close();
});

describe('lookup', () => {
  it('calls back with the first address and its family, as dns.lookup does, never inside the call', async () => {
    const { lookup } = await lookupOf(bothFamilies);
    for (const _ of ['first asked', 'then known']) {
      const calls: unknown[] = [];
      const done = new Promise<void>((resolve) => {
        lookup('webscaler-db', { family: 4 }, (...results) => {
          calls.push(results);
          resolve();
        });
      });
      expect(calls).toEqual([]);
      await done;
      expect(calls).toEqual([[null, '192.0.2.10', 4]]);
    }
  });

  it('takes a number, or nothing, in place of options', async () => {
    const { lookup } = await lookupOf(bothFamilies);
    const six = await new Promise((resolve) => lookup('webscaler-db', 6, (...results) => resolve(results)));
    expect(six).toEqual([null, '2001:db8::10', 6]);
    const any = await new Promise<unknown[]>((resolve) => lookup('webscaler-db', (...results) => resolve(results)));
    expect(any[0]).toBe(null);
  });

  it.each<[LookupOptions, string[]]>([
    [{ family: 4 }, ['192.0.2.10', '192.0.2.11']],
    [{ family: 'IPv4' }, ['192.0.2.10', '192.0.2.11']],
    [{ family: 6 }, ['2001:db8::10']],
    [{ family: 'IPv6' }, ['2001:db8::10']],
    [{ order: 'ipv4first' } as LookupOptions, ['192.0.2.10', '192.0.2.11', '2001:db8::10']],
    [{ order: 'ipv6first' } as LookupOptions, ['2001:db8::10', '192.0.2.10', '192.0.2.11']],
    [{ verbatim: false }, ['192.0.2.10', '192.0.2.11', '2001:db8::10']],
    [{ family: 6, hints: dns.V4MAPPED }, ['2001:db8::10']],
    [{ family: 6, hints: dns.V4MAPPED | dns.ALL }, ['2001:db8::10', '::ffff:192.0.2.10', '::ffff:192.0.2.11']],
  ])('honours %j', async (options, addresses) => {
    const { all } = await lookupOf(bothFamilies);
    expect((await all('webscaler-db', options)).map((entry) => entry.address)).toEqual(addresses);
  });

  it('maps IPv4 addresses where V4MAPPED is given and there are no others', async () => {
    const { all } = await lookupOf(zoneScript([a(primary, '192.0.2.10')]));
    expect(await all(primary, { family: 6, hints: dns.V4MAPPED })).toEqual([
      { address: '::ffff:192.0.2.10', family: 6 },
    ]);
  });

  it('fails with the codes of dns.lookup, and prints the chain', async () => {
    const { lookup, server } = await lookupOf(zoneScript([cname(service, primary), a('v4.example.com', '192.0.2.1')]));
    const run = promisify(lookup);
    await expect(run(`${service}.`)).rejects.toMatchObject({
      code: 'ENOTFOUND',
      errno: -3008,
      syscall: 'getaddrinfo',
      hostname: `${service}.`,
      message: `getaddrinfo ENOTFOUND ${service}. (${service} -> ${primary}: NXDOMAIN)`,
      cause: { code: 'ERR_EXTERNALNAME_DNS_NOT_FOUND' },
    });
    await expect(run('v4.example.com.', { family: 6 })).rejects.toMatchObject({ code: 'ENOTFOUND' });
    server.script = () => ({ rcode: rcodes.servfail });
    await expect(run('other.example.com.')).rejects.toMatchObject({ code: 'EAI_AGAIN', errno: -3001 });
    server.script = ({ name }) => ({ answers: [cname(name, name)] });
    await expect(run('loop.example.com.')).rejects.toMatchObject({ code: 'EAI_FAIL' });
  });

  it('fails with ECANCELLED once the resolver is closed', async () => {
    const { lookup, resolver } = await lookupOf(bothFamilies);
    await resolver.close();
    await expect(promisify(lookup)('webscaler-db')).rejects.toMatchObject({ code: 'ECANCELLED' });
  });

  it('refuses bad arguments the way dns.lookup does', async () => {
    const { lookup } = await lookupOf(bothFamilies);
    const call = lookup as (...values: unknown[]) => void;
    const ignore = () => undefined;
    expect(() => call('x')).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE' }));
    expect(() => call(7, {}, ignore)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE' }));
    expect(() => call('x', { family: 5 }, ignore)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE' }));
    expect(() => call('x', { hints: 1 << 20 }, ignore)).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE' }),
    );
    expect(() => call('x', { order: 'sorted' }, ignore)).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE' }),
    );
  });
});

describe('as an option', () => {
  it('of net.connect and http.Agent it leads to the address behind the name', async () => {
    const web = createServer((request, response) => response.end(`Host: ${request.headers.host}`));
    web.listen(0, '127.0.0.1');
    await once(web, 'listening');
    const { port } = web.address() as AddressInfo;
    const { lookup, server } = await lookupOf(
      zoneScript([cname(service, 'web.example.com'), a('web.example.com', '127.0.0.1')]),
    );

    const socket = connect({ host: 'webscaler-db', port, lookup });
    await once(socket, 'connect');
    expect(socket.remoteAddress).toBe('127.0.0.1');
    socket.destroy();

    const agent = new Agent({ lookup });
    const body = await new Promise<string>((resolve, reject) => {
      get({ host: 'webscaler-db', port, agent }, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (part: string) => {
          text += part;
        });
        response.on('end', () => resolve(text));
      }).on('error', reject);
    });
    expect(body).toBe(`Host: webscaler-db:${port}`);
    expect(server.queries).toHaveLength(2);
    agent.destroy();
    web.close();
  });
});

describe('a process that used a resolver and forgot to close it', () => {
  it('ends by itself', async () => {
    const server = await ScriptedDnsServer.start(bothFamilies);
    opened.push(server);
    const program = `
      import { DnsResolver } from '@externalname/core';
      const resolver = new DnsResolver({ nameservers: ['${server.text}'] });
      const { canonicalName } = await resolver.resolve('${service}');
      resolver.resolve('silent.example.com', { signal: AbortSignal.timeout(50) }).catch(() => console.log(canonicalName));
    `;
    const child = spawn(
      process.execPath,
      ['--conditions=@externalname/source', '--import', 'tsx', '--input-type=module', '--eval', program],
      { cwd: fileURLToPath(new URL('..', import.meta.url)), stdio: ['ignore', 'pipe', 'inherit'] },
    );
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (part: string) => {
      output += part;
    });
    const [code] = await once(child, 'exit');
    expect([code, output]).toEqual([0, `${primary}\n`]);
  });
});
