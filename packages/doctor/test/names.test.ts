import { LocalCluster } from '@externalname/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { describeAnswer, measureName, traceName, watchName, watchService } from '../src/index.ts';

const host = 'primary-db.example.com';
const fullName = 'webscaler-db.default.svc.cluster.local';
let cluster: LocalCluster;

beforeAll(async () => {
  cluster = await LocalCluster.start({
    ttlSeconds: 0,
    services: [
      { metadata: { name: 'webscaler-db', namespace: 'default' }, spec: { type: 'ExternalName', externalName: host } },
    ],
    hosts: { [host]: ['127.0.0.11'], 'secondary-db.example.com': ['127.0.0.12'] },
  });
});
afterAll(() => cluster?.close());

const pointTo = (externalName: string) =>
  cluster.services.patch('default', 'webscaler-db', [
    { op: 'replace', path: '/spec/externalName', value: externalName },
  ]);
const named = () => ({ name: 'webscaler-db', nameservers: [cluster.nameserver] });

describe('a name', () => {
  it('is traced hop by hop at each server', async () => {
    const { name, answers } = await traceName(named());
    expect(name).toBe(fullName);
    expect(answers).toMatchObject([
      {
        server: cluster.nameserver,
        outcome: 'addresses',
        chain: [{ name: fullName, target: host, ttlSeconds: 0 }],
        addresses: [{ address: '127.0.0.11' }],
      },
    ]);
    expect(answers.map(describeAnswer)[0]).toMatch(
      /ms {2}webscaler-db.* -> primary-db\.example\.com \(0 s\) -> 127\.0\.0\.11/,
    );
  });

  it('is measured: percentiles for each name of the chain, and what failed', async () => {
    cluster.dns.fault({ kind: 'servfail', name: host });
    try {
      const { measured } = await measureName({ ...named(), name: host, count: 3 });
      expect(measured).toEqual([
        { server: cluster.nameserver, name: host, asked: 3, failed: 3, millis: undefined, failures: { refused: 3 } },
      ]);
    } finally {
      cluster.dns.heal();
    }
    const { measured } = await measureName({ ...named(), count: 3 });
    expect(measured.map(({ name, asked, failed }) => [name, asked, failed])).toEqual([
      [fullName, 3, 0],
      [host, 3, 0],
    ]);
    for (const { millis } of measured) expect(millis?.max).toBeGreaterThanOrEqual(millis?.p50 ?? Number.NaN);
  });

  it('is watched: what changes is told, until the signal fires', async () => {
    const ending = new AbortController();
    const targets: (string | undefined)[] = [];
    const watching = watchName({
      ...named(),
      intervalMillis: 10,
      onAnswer: ({ chain }) => targets.push(chain[0]?.target),
      signal: ending.signal,
    });
    await expect.poll(() => targets).toEqual([host]);
    await pointTo('secondary-db.example.com');
    await expect.poll(() => targets).toEqual([host, 'secondary-db.example.com']);
    ending.abort(new Error('enough'));
    await expect(watching).rejects.toThrow('enough');
    await pointTo(host);
  });
});

describe('a Service', () => {
  it('is watched by the API and each DNS server, until all see the host', async () => {
    const seen = new Map<string, string | undefined>();
    const sources: string[][] = [];
    await pointTo(host);
    const watching = watchService({
      service: 'webscaler-db',
      kubeConfig: await cluster.writeKubeconfig(),
      nameservers: [cluster.nameserver],
      intervalMillis: 50,
      until: 'secondary-db.example.com',
      onSight: ({ source, target }, _, all) => {
        seen.set(source, target);
        sources.push(all.map((each) => each.source));
      },
      signal: AbortSignal.timeout(20_000),
    });
    await expect.poll(() => seen.size).toBe(2);
    await pointTo('secondary-db.example.com');
    await watching;
    expect([...seen.values()]).toEqual(['secondary-db.example.com', 'secondary-db.example.com']);
    expect(new Set(sources.flat())).toEqual(new Set(['kubernetes', `dns ${cluster.nameserver}`]));
    await pointTo(host);
  });

  it('is watched until the signal fires, and leaves nothing open', async () => {
    const ending = new AbortController();
    const watching = watchService({
      service: 'webscaler-db',
      kubeConfig: await cluster.writeKubeconfig(),
      nameservers: [cluster.nameserver],
      onSight: () => ending.abort(new Error('enough')),
      signal: ending.signal,
    });
    await expect(watching).rejects.toThrow('enough');
  });
});
