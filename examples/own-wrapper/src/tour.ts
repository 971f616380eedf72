import { once } from 'node:events';
import net from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { externalNameService, switchJsonPatch } from '@externalname/core/manifests';
import { createCertificateAuthority, LocalCluster } from '@externalname/testing';
import { Redis, type RedisOptions } from './redis.ts';
import { RedisServer } from './redis-server.ts';

/** What was counted. */
export interface Figures {
  /** `INCR` that were answered. */
  readonly counted: number;
  /** What the counter says on the new server. */
  readonly counter: number;
  readonly failed: readonly string[];
  readonly longestMillis: number;
}

const service = 'webscaler-cache';
const [a, b] = ['cache-a.example.com', 'cache-b.example.com'] as const;

/** Redis behind a Service, and a failover from one server to the other. `undefined` if redis-server is not installed. */
export async function tour(print: (line: string) => void): Promise<Figures | undefined> {
  if (!RedisServer.isInstalled()) {
    print('skipped: redis-server is not installed here (Debian and Ubuntu: apt-get install redis-server)');
    return undefined;
  }
  const authority = await createCertificateAuthority();
  const [first, second] = ['127.0.0.81', '127.0.0.82'] as const;
  const port = await freePort(first);
  await using primary = await RedisServer.start(authority, { hostName: a, address: first, port });
  await using replica = await RedisServer.start(authority, { hostName: b, address: second, port });
  await replica.command(['REPLICAOF', first, String(port)]);
  await replica.until(['INFO', 'replication'], (reply) => String(reply).includes('master_link_status:up'));
  await using cluster = await LocalCluster.start({
    ttlSeconds: 2,
    services: [externalNameService({ name: service, externalName: a })],
    hosts: { [a]: [first], [b]: [second] },
  });
  const options: RedisOptions = {
    service,
    port,
    allowedTargets: [a, b],
    // The servers of the example are on loopback addresses.
    allowedNetworks: ['127.0.0.0/8'],
    dns: { nameservers: [cluster.nameserver] },
    tls: { ca: authority.certificate },
  };
  await using redis = new Redis(options);
  await redis.command(['SET', 'greeting', 'hello'], { idempotent: true });
  print(
    `${service} -> ${await redis.target()}: GET greeting is "${await redis.command(['GET', 'greeting'])}", over verified TLS`,
  );

  print('\n# A failover, while four workers count');
  const counting = new Counting(redis, 4);
  await pause(300);
  const began = performance.now();
  await primary.command(['FAILOVER', 'TIMEOUT', '5000']);
  await replica.until(['ROLE'], (reply) => Array.isArray(reply) && reply[0] === 'master');
  print(`  ${since(began)} Redis: ${a} waits until ${b} has everything, and becomes its replica`);
  await pause(200);
  print(
    `  ${since(began)} writes are refused with READONLY: ${counting.waiting} commands wait, ${counting.failed.length} have failed`,
  );
  await cluster.services.patch('default', service, switchJsonPatch({ externalName: b }));
  print(`  ${since(began)} the Service is patched`);
  const patchedAt = performance.now();
  await counting.more(1);
  print(
    `  ${since(began)} the first command is answered, ${Math.round(performance.now() - patchedAt)} ms after the patch; the target is ${await redis.target()}`,
  );
  await counting.more(40);
  await counting.stop();

  print('\n# A host that is not on the allow-list');
  await cluster.services.patch('default', service, switchJsonPatch({ externalName: 'cache.example.org' }));
  await using strict = new Redis(options);
  const refusal: unknown = await strict.command(['PING']).catch((error: unknown) => error);
  print(`  ${refusal instanceof Error ? refusal.message : 'was not refused'}`);

  const counter = Number(await replica.command(['GET', 'counter']));
  const { counted, failed, longestMillis } = counting;
  print(
    `\n${counted} times INCR was answered, and the counter is ${counter}. ${failed.length} failed. The longest took ${longestMillis} ms.`,
  );
  for (const failure of failed) print(`  failed: ${failure}`);
  return { counted, counter, failed, longestMillis };
}

/** Workers that count in Redis. `INCR` must not run twice, so that only what certainly did not run may be sent again. */
class Counting {
  counted = 0;
  waiting = 0;
  longestMillis = 0;
  readonly failed: string[] = [];
  readonly #workers: Promise<void>[];
  #stopping = false;

  constructor(redis: Redis, workers: number) {
    this.#workers = Array.from({ length: workers }, () => this.#count(redis));
  }

  /** Waits until so many more were answered. */
  async more(count: number): Promise<void> {
    const goal = this.counted + count;
    const deadline = performance.now() + 15_000;
    while (this.counted < goal) {
      if (performance.now() > deadline) throw new Error('the commands are not answered any more');
      await pause(5);
    }
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await Promise.all(this.#workers);
  }

  async #count(redis: Redis): Promise<void> {
    while (!this.#stopping) {
      const began = performance.now();
      this.waiting += 1;
      try {
        await redis.command(['INCR', 'counter']);
        this.counted += 1;
      } catch (error) {
        this.failed.push(error instanceof Error ? error.message : String(error));
      }
      this.waiting -= 1;
      this.longestMillis = Math.max(this.longestMillis, Math.round(performance.now() - began));
      await pause(10);
    }
  }
}

function since(began: number): string {
  return `${Math.round(performance.now() - began)} ms`.padStart(8);
}

async function freePort(address: string): Promise<number> {
  const probe = net.createServer();
  await once(probe.listen(0, address), 'listening');
  const bound = probe.address();
  probe.close();
  await once(probe, 'close');
  if (typeof bound !== 'object' || bound === null) throw new Error('a server without a port');
  return bound.port;
}
