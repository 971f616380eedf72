import { type Clock, DnsResolver, type DnsResolverOptions, systemClock } from '@externalname/core';
import { sleep } from '@externalname/core/internal';
import { afterEach, describe, expect, it } from 'vitest';
import {
  a,
  aaaa,
  cname,
  rcodes,
  type Script,
  ScriptedDnsServer,
  type ScriptedReply,
  soa,
  zoneScript,
} from './scripted-dns-server.ts';
import { ManualClock } from './support/manual-clock.ts';
import { inQuietTime } from './support/quiet-time.ts';

const service = 'webscaler-db.default.svc.cluster.local';
const primary = 'primary-db.example.com';
const opened: { close(): Promise<void> }[] = [];

async function resolverOf(script: Script, options: DnsResolverOptions = {}, clock: Clock = systemClock) {
  const server = await ScriptedDnsServer.start(script);
  const settings = { nameservers: [server.text], timeoutMillis: 5000, attempts: 1, ...options };
  const resolver = new DnsResolver(settings, { clock });
  opened.push(server, resolver);
  return { server, resolver };
}

/** Answers `TYPE name` from a table; silence for the rest. */
function table(replies: Record<string, ScriptedReply>): Script {
  return ({ type, name }) => replies[`${type} ${name}`];
}

afterEach(async () => {
  for (const one of opened.splice(0).reverse()) await one.close();
});

describe('a service that is an alias', () => {
  it('is resolved by one query a family: chain, addresses, times, and who said so', async () => {
    const clock = new ManualClock();
    await clock.advance(1_000);
    const { server, resolver } = await resolverOf(
      zoneScript([cname(service, primary, 5), a(primary, '192.0.2.10', 60), aaaa(primary, '2001:db8::10', 60)]),
      {},
      clock,
    );
    const resolution = await clock.atOnce(resolver.resolve(`${service}.`));
    expect(resolution).toEqual({
      name: service,
      chain: [{ name: service, target: primary, ttlSeconds: 5, server: server.text, elapsedMillis: 0 }],
      canonicalName: primary,
      addresses: [
        { address: '192.0.2.10', family: 4, ttlSeconds: 60 },
        { address: '2001:db8::10', family: 6, ttlSeconds: 60 },
      ],
      expiresAt: 6_000,
      stale: false,
    });
    expect(server.asked.sort()).toEqual([`A ${service}`, `AAAA ${service}`]);
  });

  it('costs one query where one family is wanted', async () => {
    const { server, resolver } = await resolverOf(zoneScript([cname(service, primary), a(primary, '192.0.2.10')]));
    await resolver.resolve(service, { family: 4 });
    expect(server.asked).toEqual([`A ${service}`]);
  });

  it('may lead through several names, in the cluster and outside', async () => {
    const middle = 'db.data.svc.cluster.local';
    const { server, resolver } = await resolverOf(
      zoneScript([
        cname(service, middle, 5),
        cname(middle, primary, 7),
        cname(primary, 'db-1.provider.example', 60),
        a('db-1.provider.example', '192.0.2.10'),
      ]),
    );
    const { chain, canonicalName } = await resolver.resolve(service);
    expect(chain.map((hop) => [hop.name, hop.target, hop.ttlSeconds])).toEqual([
      [service, middle, 5],
      [middle, primary, 7],
      [primary, 'db-1.provider.example', 60],
    ]);
    expect(canonicalName).toBe('db-1.provider.example');
    expect(server.queries).toHaveLength(2);
  });

  it('times each hop by the query that brought it', async () => {
    const clock = new ManualClock();
    const { server, resolver } = await resolverOf(
      async (query) => {
        await sleep(query.name === service ? 10 : 400, { clock });
        if (query.name === service) return { answers: [cname(service, primary)] };
        return { answers: query.type === 'A' ? [a(primary, '192.0.2.10')] : [], authority: [soa('example.com')] };
      },
      {},
      clock,
    );
    const resolving = resolver.resolve(service);
    await expect.poll(() => server.queries.length).toBe(2);
    await clock.advance(10);
    await expect.poll(() => server.queries.length).toBe(4);
    await clock.advance(400);
    const { chain } = await clock.atOnce(resolving);
    expect(chain).toMatchObject([{ name: service, elapsedMillis: 10 }]);
  });
});

describe('one family without an answer', () => {
  it('is not a failure if the other has addresses: AAAA is SERVFAIL', async () => {
    const { resolver } = await resolverOf((query) =>
      query.type === 'A'
        ? { answers: [cname(service, primary), a(primary, '192.0.2.10')] }
        : { rcode: rcodes.servfail },
    );
    expect((await resolver.resolve(service)).addresses).toHaveLength(1);
  });

  it('is not a failure if the other has addresses: A is SERVFAIL', async () => {
    const { resolver } = await resolverOf((query) =>
      query.type === 'AAAA'
        ? { answers: [cname(service, primary), aaaa(primary, '2001:db8::10')] }
        : { rcode: rcodes.servfail },
    );
    expect((await resolver.resolve(service)).addresses.map((entry) => entry.family)).toEqual([6]);
  });

  it('keeps a caller with IPv4 addresses waiting for half a second at most', async () => {
    const clock = new ManualClock();
    const { server, resolver } = await resolverOf(
      (query) => (query.type === 'A' ? { answers: [cname(service, primary), a(primary, '192.0.2.10')] } : undefined),
      { timeoutMillis: 20_000 },
      clock,
    );
    const resolving = resolver.resolve(service);
    await expect.poll(() => server.queries.length).toBe(2);
    await expect.poll(() => resolver.statistics().answers).toBe(1);
    await clock.advance(500);
    expect((await clock.atOnce(resolving)).addresses).toHaveLength(1);
    // And not again for the next caller.
    await clock.atOnce(resolver.resolve(service));
    expect(server.queries).toHaveLength(2);
  });

  it('is not asked again where CoreDNS gives the alias alone for a host without IPv6', async () => {
    const { server, resolver } = await resolverOf(zoneScript([cname(service, primary), a(primary, '192.0.2.10')]));
    const { addresses } = await resolver.resolve(service);
    expect(addresses).toHaveLength(1);
    expect(server.queries).toHaveLength(2);
  });

  it('is asked of the target where only the alias came for A', async () => {
    const { server, resolver } = await resolverOf(
      table({
        [`A ${service}`]: { answers: [cname(service, primary)] },
        [`AAAA ${service}`]: { answers: [cname(service, primary), aaaa(primary, '2001:db8::10')] },
        [`A ${primary}`]: { answers: [a(primary, '192.0.2.10')] },
        [`AAAA ${primary}`]: { answers: [aaaa(primary, '2001:db8::10')] },
      }),
    );
    const { addresses } = await resolver.resolve(service);
    expect(addresses.map((entry) => entry.address)).toEqual(['192.0.2.10', '2001:db8::10']);
    expect(server.queries).toHaveLength(4);
  });

  it('does not take away what the other had, where the target itself gives nothing either', async () => {
    const { resolver } = await resolverOf(
      table({
        [`A ${service}`]: { answers: [cname(service, primary)] },
        [`AAAA ${service}`]: { answers: [cname(service, primary), aaaa(primary, '2001:db8::10')] },
        [`A ${primary}`]: { rcode: rcodes.servfail },
        [`AAAA ${primary}`]: { rcode: rcodes.servfail },
      }),
    );
    expect((await resolver.resolve(service)).addresses.map((entry) => entry.address)).toEqual(['2001:db8::10']);
  });
});

describe('an alias alone, as CoreDNS gives it whenever its upstream fails', () => {
  const alone = { answers: [cname(service, primary)] };
  const aliases = { [`A ${service}`]: alone, [`AAAA ${service}`]: alone };

  it('is followed by asking the target: it does not exist', async () => {
    const missing = { rcode: rcodes.nxdomain, authority: [soa('example.com')] };
    const { resolver } = await resolverOf(
      table({ ...aliases, [`A ${primary}`]: missing, [`AAAA ${primary}`]: missing }),
    );
    await expect(resolver.resolve(service)).rejects.toMatchObject({
      code: 'ERR_EXTERNALNAME_DNS_NOT_FOUND',
      failure: 'not-found',
      message: `${service} -> ${primary}: NXDOMAIN`,
      hostname: service,
      chain: [expect.objectContaining({ name: service, target: primary })],
    });
  });

  it('is followed by asking the target: it has no address', async () => {
    const empty = { authority: [soa('example.com')] };
    const { resolver } = await resolverOf(
      table({ ...aliases, [`A ${primary}`]: empty, [`AAAA ${primary}`]: empty, [`CNAME ${primary}`]: empty }),
    );
    await expect(resolver.resolve(service)).rejects.toMatchObject({
      code: 'ERR_EXTERNALNAME_DNS_NO_ADDRESS',
      message: `${service} -> ${primary}: no address`,
    });
  });

  it('is followed by asking the target: no server answers for it', async () => {
    const failing = { rcode: rcodes.servfail };
    const { server, resolver } = await resolverOf(
      table({ ...aliases, [`A ${primary}`]: failing, [`AAAA ${primary}`]: failing }),
    );
    await expect(resolver.resolve(service)).rejects.toMatchObject({
      code: 'ERR_EXTERNALNAME_DNS_UNAVAILABLE',
      message: `${service} -> ${primary}: SERVFAIL from ${server.text}`,
      chain: [expect.objectContaining({ target: primary })],
    });
  });

  it('names the target also where the deadline ends it', async () => {
    const clock = new ManualClock();
    const { server, resolver } = await resolverOf(table(aliases), { timeoutMillis: 30_000 }, clock);
    const failed = expect(resolver.resolve(service, { timeoutMillis: 100 })).rejects.toMatchObject({
      failure: 'unavailable',
      message: `${service} -> ${primary}: no answer within 100 ms from ${server.text}`,
    });
    await expect.poll(() => server.asked).toContain(`A ${primary}`);
    await clock.advance(100);
    await failed;
  });
});

describe('a name that ends', () => {
  it('in NXDOMAIN of its own does not exist', async () => {
    const { server, resolver } = await resolverOf(zoneScript([]));
    await expect(resolver.resolve(service)).rejects.toMatchObject({ message: `${service}: NXDOMAIN`, chain: [] });
    expect(server.queries).toHaveLength(2);
  });

  it('in NXDOMAIN of its target, said in one answer, does not exist either', async () => {
    const { server, resolver } = await resolverOf(() => ({
      rcode: rcodes.nxdomain,
      answers: [cname(service, primary)],
      authority: [soa('example.com')],
    }));
    await expect(resolver.resolve(service)).rejects.toMatchObject({ message: `${service} -> ${primary}: NXDOMAIN` });
    expect(server.queries).toHaveLength(2);
  });

  it('in the cluster without an address still tells its target, by asking for the alias', async () => {
    const target = 'db.data.svc.cluster.local';
    const none = { authority: [soa('cluster.local')] };
    const missing = { rcode: rcodes.nxdomain, authority: [soa('cluster.local')] };
    const { resolver } = await resolverOf(
      table({
        [`A ${service}`]: none,
        [`AAAA ${service}`]: none,
        [`CNAME ${service}`]: { answers: [cname(service, target)] },
        [`A ${target}`]: missing,
        [`AAAA ${target}`]: missing,
      }),
    );
    await expect(resolver.resolve(service)).rejects.toMatchObject({ message: `${service} -> ${target}: NXDOMAIN` });
  });

  it('without an address says so also where the question for the alias fails', async () => {
    const none = { authority: [soa('cluster.local')] };
    const { resolver } = await resolverOf(
      table({ [`A ${service}`]: none, [`AAAA ${service}`]: none, [`CNAME ${service}`]: { rcode: rcodes.servfail } }),
    );
    await expect(resolver.resolve(service)).rejects.toMatchObject({ failure: 'no-address' });
  });

  it('in SERVFAIL, as unbound says of an alias whose target cannot be resolved, still tells the target', async () => {
    const failing = { rcode: rcodes.servfail };
    const { server, resolver } = await resolverOf(({ type, name }) =>
      type === 'CNAME' && name === service ? { answers: [cname(service, primary)] } : failing,
    );
    await expect(resolver.resolve(service)).rejects.toMatchObject({
      failure: 'unavailable',
      message: `${service} -> ${primary}: SERVFAIL from ${server.text}`,
    });
  });

  it('in silence, as of a resolver that waits for the servers of the target, still tells the target', async () => {
    const clock = new ManualClock();
    const { server, resolver } = await resolverOf(
      ({ type, name }) => (type === 'CNAME' && name === service ? { answers: [cname(service, primary)] } : undefined),
      { timeoutMillis: 50 },
      clock,
    );
    const traffic = () => server.queries.length + resolver.statistics().answers;
    await expect(inQuietTime(resolver.resolve(service), { clock, traffic, stepMillis: 50 })).rejects.toMatchObject({
      failure: 'unavailable',
      message: `${service} -> ${primary}: no answer from ${server.text} within 50 ms`,
    });
  });

  it('in a loop says so, and prints it', async () => {
    const other = 'b.default.svc.cluster.local';
    const { resolver } = await resolverOf(() => ({ answers: [cname(service, other), cname(other, service)] }));
    await expect(resolver.resolve(service)).rejects.toMatchObject({
      code: 'ERR_EXTERNALNAME_DNS_LOOP',
      message: `${service} -> ${other} -> ${service}: the chain loops`,
    });
  });

  it('in a loop that only shows when asked on says so', async () => {
    const other = 'b.default.svc.cluster.local';
    const { resolver } = await resolverOf(({ name }) => ({
      answers: [name === service ? cname(service, other) : cname(other, service)],
    }));
    await expect(resolver.resolve(service)).rejects.toMatchObject({ failure: 'loop' });
  });

  it('in an alias to itself says so', async () => {
    const { resolver } = await resolverOf(() => ({ answers: [cname(service, service)] }));
    await expect(resolver.resolve(service)).rejects.toMatchObject({
      message: `${service} -> ${service}: the chain loops`,
    });
  });

  it('after more than 16 aliases is given up, one answer or many', async () => {
    const step = ({ name }: { name: string }) => {
      const number = Number(/^n(\d+)\./.exec(name)?.[1] ?? 0);
      return { answers: [cname(name, `n${number + 1}.example.com`)] };
    };
    const { server, resolver } = await resolverOf(step);
    await expect(resolver.resolve('n0.example.com', { family: 4 })).rejects.toMatchObject({
      code: 'ERR_EXTERNALNAME_DNS_TOO_LONG',
      failure: 'too-long',
      chain: { length: 17 },
    });
    expect(server.queries).toHaveLength(17);
  });
});

describe('a switch between the answers for A and AAAA', () => {
  it('is asked again, so that addresses of two targets never mix', async () => {
    let asked = 0;
    const { server, resolver } = await resolverOf(({ type }) => {
      const old = asked++ === 0;
      const target = old ? primary : 'secondary-db.example.com';
      return {
        answers: [
          cname(service, target),
          type === 'A' ? a(target, old ? '192.0.2.10' : '198.51.100.20') : aaaa(target, '2001:db8::20'),
        ],
      };
    });
    const { canonicalName, addresses } = await resolver.resolve(service);
    expect(canonicalName).toBe('secondary-db.example.com');
    expect(addresses.map((entry) => entry.address)).toEqual(['198.51.100.20', '2001:db8::20']);
    expect(server.queries).toHaveLength(4);
  });

  it('that never ends leaves the addresses of one of them', async () => {
    const { resolver } = await resolverOf(({ type }) => {
      const target = type === 'A' ? primary : 'secondary-db.example.com';
      return {
        answers: [cname(service, target), type === 'A' ? a(target, '192.0.2.10') : aaaa(target, '2001:db8::20')],
      };
    });
    const { canonicalName, addresses } = await resolver.resolve(service);
    expect(canonicalName).toBe(primary);
    expect(addresses.map((entry) => entry.address)).toEqual(['192.0.2.10']);
  });
});

describe('records that were not asked for', () => {
  it('are not used: addresses of other names, aliases off the chain, glue', async () => {
    const { resolver } = await resolverOf(() => ({
      answers: [
        a('evil.example.com', '203.0.113.66'),
        a(service, '203.0.113.66'),
        cname('unrelated.example.com', 'evil.example.com'),
        a(primary, '192.0.2.10'),
        cname(service, primary),
      ],
      additional: [a(primary, '203.0.113.66')],
    }));
    const { canonicalName, addresses } = await resolver.resolve(service, { family: 4 });
    expect([canonicalName, addresses.map((entry) => entry.address)]).toEqual([primary, ['192.0.2.10']]);
  });

  it('do not reach the cache either', async () => {
    const { server, resolver } = await resolverOf(({ name }) =>
      name === service
        ? { answers: [cname(service, primary), a(primary, '192.0.2.10'), a('other.example.com', '203.0.113.66')] }
        : { answers: [a('other.example.com', '192.0.2.99')] },
    );
    await resolver.resolve(service, { family: 4 });
    const { addresses } = await resolver.resolve('other.example.com', { family: 4 });
    expect(addresses.map((entry) => entry.address)).toEqual(['192.0.2.99']);
    expect(server.queries).toHaveLength(2);
  });

  it('include two different aliases for one name: such an answer is refused', async () => {
    const { server, resolver } = await resolverOf(() => ({
      answers: [cname(service, primary), cname(service, 'evil.example.com'), a('evil.example.com', '203.0.113.66')],
    }));
    await expect(resolver.resolve(service, { family: 4 })).rejects.toMatchObject({
      failure: 'unavailable',
      message: `${service}: two aliases for ${service} from ${server.text}`,
    });
  });
});

describe('bad input', () => {
  it.each(['', '.', 'a..b', `${'a'.repeat(64)}.example`, `${'a.'.repeat(127)}aa`, 'a b.example', 'ä.example'])(
    '%j is refused before any query',
    async (name) => {
      const { server, resolver } = await resolverOf(() => undefined);
      await expect(resolver.resolve(name)).rejects.toMatchObject({ code: 'ERR_EXTERNALNAME_INVALID_ARGUMENT' });
      expect(server.queries).toHaveLength(0);
    },
  );

  it('is refused in the options of a call too', async () => {
    const { resolver } = await resolverOf(() => undefined);
    await expect(resolver.resolve(service, { family: 5 as 4 })).rejects.toMatchObject({ argument: 'family' });
    await expect(resolver.resolve(service, { timeoutMillis: Number.NaN })).rejects.toMatchObject({
      argument: 'timeoutMillis',
    });
  });
});
