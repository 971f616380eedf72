import { once } from 'node:events';
import tls from 'node:tls';
import { externalNameService } from '@externalname/core/manifests';
import { createCertificateAuthority, LocalCluster } from '@externalname/testing';
import { describe, expect, it } from 'vitest';
import { Redis } from './redis.ts';

describe('a command whose answer does not come', () => {
  it('fails with the outcome unknown, since it may have run', async () => {
    await using place = await serverWith(['break', 'answer']);
    await expect(place.redis.command(['INCR', 'counter'])).rejects.toMatchObject({
      code: 'ANSWER_LOST',
      outcome: 'unknown',
    });
    expect(place.commands()).toBe(1);
  });

  it('is sent again if it is marked as idempotent', async () => {
    await using place = await serverWith(['break', 'answer']);
    expect(await place.redis.command(['SET', 'a', '1'], { idempotent: true })).toBe('OK');
    expect(place.commands()).toBe(2);
  });

  it('is not waited for longer than answerTimeoutMillis', async () => {
    await using place = await serverWith(['silence']);
    const error: unknown = await place.redis.command(['GET', 'a']).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ outcome: 'unknown', cause: { message: 'Redis gave no answer within 200 ms' } });
  });
});

describe('a command that did not run', () => {
  it.each(['READONLY You can not write', 'LOADING Redis is loading'])('is sent again after %s', async (refusal) => {
    await using place = await serverWith([refusal, 'answer']);
    expect(await place.redis.command(['INCR', 'counter'])).toBe('OK');
    expect(place.commands()).toBe(2);
  });

  it('fails if it never will', async () => {
    await using place = await serverWith(['WRONGTYPE not a number', 'answer']);
    await expect(place.redis.command(['INCR', 'list'])).rejects.toMatchObject({ code: 'WRONGTYPE' });
    expect(place.commands()).toBe(1);
  });
});

/** A server that does one thing for each command, behind a Service. */
async function serverWith(deeds: readonly string[]) {
  const address = '127.0.0.83';
  const authority = await createCertificateAuthority();
  const { certificate, privateKey } = await authority.issue({ hostNames: ['cache.example.com'] });
  let commands = 0;
  const server = tls.createServer({ cert: certificate, key: privateKey }, (socket) => {
    socket.on('error', () => undefined);
    socket.on('data', () => {
      const deed = deeds[commands++];
      if (deed === 'break') socket.destroy();
      else if (deed === 'answer') socket.write('+OK\r\n');
      else if (deed !== 'silence') socket.write(`-${deed}\r\n`);
    });
  });
  await once(server.listen(0, address), 'listening');
  const bound = server.address();
  const cluster = await LocalCluster.start({
    services: [externalNameService({ name: 'webscaler-cache', externalName: 'cache.example.com' })],
    hosts: { 'cache.example.com': [address] },
  });
  const redis = new Redis({
    service: 'webscaler-cache',
    port: typeof bound === 'object' && bound !== null ? bound.port : 0,
    allowedTargets: ['cache.example.com'],
    allowedNetworks: ['127.0.0.0/8'],
    dns: { nameservers: [cluster.nameserver] },
    tls: { ca: authority.certificate },
    answerTimeoutMillis: 200,
  });
  return {
    redis,
    commands: () => commands,
    async [Symbol.asyncDispose]() {
      await redis.close();
      server.close();
      await cluster.close();
    },
  };
}
