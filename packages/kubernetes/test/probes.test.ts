import { createServer as createHttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { createCertificateAuthority, PostgresPair } from '@externalname/testing';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  inspectPostgres,
  type PostgresState,
  type Probe,
  postgresClients,
  postgresProbe,
  postgresServiceProbes,
  resolvesProbe,
  tcpProbe,
  tlsProbe,
} from '../src/index.ts';

const run = (probe: Probe, host: string) => probe.run(host, { signal: AbortSignal.timeout(10_000) });
/** Every name is this machine. */
const lookup = ((_host: string, options: { all?: boolean }, callback: (...answer: unknown[]) => void) =>
  options.all
    ? callback(null, [{ address: '127.0.0.1', family: 4 }])
    : callback(null, '127.0.0.1', 4)) as unknown as NonNullable<Parameters<typeof tcpProbe>[0]['lookup']>;

describe('a PostgreSQL probe', () => {
  let pair: PostgresPair;
  beforeAll(async () => {
    pair = await PostgresPair.start();
  }, 120_000);
  afterAll(() => pair?.close());

  const ask = async (host: string): Promise<PostgresState> => {
    const probe = postgresProbe({ client: (name) => new Client(pair.connection(pair.server(name))) });
    const { postgres } = await run(probe, host);
    if (postgres === undefined) throw new Error('it said nothing of itself');
    return postgres;
  };

  it('tells a primary from its standby, and that they are copies of one another', async () => {
    const [primary, standby] = [await ask('primary-db.example.com'), await ask('secondary-db.example.com')];
    expect(primary).toMatchObject({ inRecovery: false, readOnly: false, timeline: 1, replayDelaySeconds: undefined });
    expect(standby).toMatchObject({ inRecovery: true, timeline: 1 });
    expect(primary.systemIdentifier).toMatch(/^\d{10,}$/);
    expect(standby.systemIdentifier).toBe(primary.systemIdentifier);
    expect(primary.logPosition).toBeGreaterThan(0n);
    expect(standby.logPosition).toBeGreaterThan(0n);
  });

  it('comes with version, connections and how the login was authenticated, if more is asked', async () => {
    expect(await inspectPostgres(new Client(pair.connection()))).toMatchObject({
      state: { inRecovery: false, readOnly: false },
      version: expect.stringMatching(/^\d+\.\d+/),
      connectionLimit: 197,
      connections: expect.any(Number),
      authentication: 'scram-sha-256',
      encrypted: true,
    });
  });

  it('is one of those of a switch, which find hosts by their own lookup', async () => {
    const { port, user, database, password, ca } = pair;
    const found = ((host: string, options: { all?: boolean }, callback: (...answer: unknown[]) => void) => {
      const { address } = pair.server(host);
      if (options.all) callback(null, [{ address, family: 4 }]);
      else callback(null, address, 4);
    }) as unknown as typeof lookup;
    const client = postgresClients({ Client, port, user, database, password, ca, lookup: found });
    const { target, previous } = postgresServiceProbes({ port, ca, lookup: found, client });
    expect([target, previous].map((probes) => probes.map(({ name }) => name))).toEqual([
      ['resolves', `tcp ${port}`, `tls ${port}`, 'postgres'],
      ['postgres'],
    ]);
    for (const probe of target) expect(await run(probe, 'secondary-db.example.com')).toMatchObject({ ok: true });
    const without = [postgresServiceProbes({ port }), postgresServiceProbes({ port, client, tls: false })];
    expect(without.map((probes) => [probes.target.length, probes.previous.length])).toEqual([
      [3, 0],
      [2, 0],
    ]);
  });

  it('fails where the server is down, and sees the next timeline once the standby is promoted', async () => {
    const [primary, standby] = [pair.primary, pair.standby];
    await primary.kill();
    const probe = postgresProbe({ client: (name) => new Client(pair.connection(pair.server(name))) });
    await expect(run(probe, 'primary-db.example.com')).rejects.toThrow(/ECONNREFUSED/);
    await standby.promote();
    expect(await ask('secondary-db.example.com')).toMatchObject({ inRecovery: false, readOnly: false, timeline: 2 });
  });

  it('looks for a certificate of the target in the way of PostgreSQL', async () => {
    const { address, port, hostName } = pair.primary.isRunning() ? pair.primary : pair.standby;
    const there = ((_host: string, options: { all?: boolean }, callback: (...answer: unknown[]) => void) =>
      options.all ? callback(null, [{ address, family: 4 }]) : callback(null, address, 4)) as unknown as typeof lookup;
    const probe = tlsProbe({ port, ca: pair.ca, protocol: 'postgres', lookup: there });
    expect((await run(probe, hostName)).detail).toContain(`certificate verified for ${hostName}`);
    await expect(run(probe, 'other.example.com')).rejects.toThrow(/does not match certificate/);
  });
});

describe('a TLS probe', () => {
  it('accepts a certificate of the target only', async () => {
    const authority = await createCertificateAuthority({ name: 'test' });
    const { certificate, privateKey } = await authority.issue({ hostNames: ['secondary-db.example.com'] });
    const server = createTlsServer({ cert: certificate, key: privateKey });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    try {
      const { port } = server.address() as AddressInfo;
      const probe = tlsProbe({ port, ca: authority.certificate, lookup });
      expect(await run(probe, 'secondary-db.example.com')).toMatchObject({ ok: true });
      await expect(run(probe, 'primary-db.example.com')).rejects.toThrow(/does not match certificate/);
      const untrusting = tlsProbe({ port, lookup });
      await expect(run(untrusting, 'secondary-db.example.com')).rejects.toThrow(/certificate/);
      process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0';
      // Node.js would take the certificate, and the probe would call it verified.
      await expect(run(untrusting, 'secondary-db.example.com')).rejects.toThrow(/certificate/);
    } finally {
      delete process.env['NODE_TLS_REJECT_UNAUTHORIZED'];
      server.close();
    }
  });
});

describe('a TCP probe', () => {
  it('says whether the port accepts connections', async () => {
    const server = createHttpServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    expect(await run(tcpProbe({ port, lookup }), 'db.example.com')).toMatchObject({ ok: true });
    await new Promise((resolve) => server.close(resolve));
    await expect(run(tcpProbe({ port, lookup }), 'db.example.com')).rejects.toThrow(/ECONNREFUSED/);
  });
});

describe('a probe for addresses', () => {
  it('says what the name resolves to, and fails where it does not', async () => {
    expect(await run(resolvesProbe({ lookup }), 'db.example.com')).toEqual({
      ok: true,
      detail: 'resolves to 127.0.0.1',
    });
    const failing = ((_host: string, _options: object, callback: (error: Error) => void) =>
      callback(new Error('ENOTFOUND'))) as unknown as typeof lookup;
    await expect(run(resolvesProbe({ lookup: failing }), 'db.example.com')).rejects.toThrow('ENOTFOUND');
  });
});
