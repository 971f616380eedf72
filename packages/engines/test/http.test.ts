import { createCertificateAuthority } from '@externalname/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { type EngineState, patroniEngine } from '../src/index.ts';
import { EtcdGateway } from './stand-ins/etcd-gateway.ts';
import { answer, ScriptedServer } from './stand-ins/http-server.ts';
import { PatroniMembers } from './stand-ins/patroni-members.ts';

const closing: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

describe('the interfaces of an engine over TLS', () => {
  it('are verified, name and authority, whatever the environment says', async () => {
    const authority = await createCertificateAuthority({ name: 'engines' });
    const { certificate, privateKey } = await authority.issue({ hostNames: ['db.example.com'], addresses: [] });
    const patroni = await started(new PatroniMembers({ cert: certificate, key: privateKey }));
    const ask = (rest: object) => look({ members: patroni.urls, rest });
    process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0';
    closing.push(() => delete process.env['NODE_TLS_REJECT_UNAUTHORIZED']);
    expect(await ask({ servername: 'db.example.com' })).toMatchObject({ reason: 'unreachable' });
    expect(await ask({ ca: authority.certificate })).toMatchObject({ reason: 'unreachable' });
    expect(patroni.requests).toEqual([]);
    expect(await ask({ ca: authority.certificate, servername: 'db.example.com' })).toMatchObject({ member: 'a' });
  });

  it('get the client certificate', async () => {
    const authority = await createCertificateAuthority({ name: 'engines' });
    const server = await authority.issue({ hostNames: [], addresses: ['127.0.0.1'] });
    const client = await authority.issue({ hostNames: ['follower.example.com'], addresses: [] });
    const patroni = await started(
      new PatroniMembers({
        cert: server.certificate,
        key: server.privateKey,
        ca: authority.certificate,
        requestCert: true,
        rejectUnauthorized: true,
      }),
    );
    const ca = authority.certificate;
    expect(await look({ members: patroni.urls, rest: { ca } })).toMatchObject({ reason: 'unreachable' });
    const rest = { ca, cert: client.certificate, key: client.privateKey };
    expect(await look({ members: patroni.urls, rest })).toMatchObject({ member: 'a' });
  });
});

describe('credentials', () => {
  it('go to the members that were named', async () => {
    const patroni = await started(new PatroniMembers());
    await look({ members: patroni.urls, rest: { username: 'reader', password: 'open sesame' } });
    const basic = `Basic ${Buffer.from('reader:open sesame').toString('base64')}`;
    expect(patroni.requests.sort()).toEqual([`a /primary ${basic}`, `b /primary ${basic}`]);
  });

  it('do not go to a URL that the store names', async () => {
    const [etcd, patroni] = [new EtcdGateway(), await started(new PatroniMembers())];
    await etcd.server.start();
    closing.push(() => etcd.server.stop());
    etcd.set('/service/demo/leader', 'a');
    etcd.set('/service/demo/members/a', JSON.stringify({ api_url: `${patroni.servers.a.url}/patroni` }));
    const rest = { username: 'reader', password: 'open sesame' };
    const engine = patroniEngine({ scope: 'demo', etcd: { endpoints: [etcd.server.url] }, rest });
    closing.push(() => engine.close());
    await engine.read();
    expect(await engine.ask('a')).toMatchObject({ leads: true });
    expect(patroni.requests).toEqual(['a /primary -']);
  });

  it('log in to etcd, and again when the token has expired; no message shows them', async () => {
    const etcd = new EtcdGateway();
    await etcd.server.start();
    closing.push(() => etcd.server.stop());
    etcd.password = 'open sesame';
    etcd.set('/service/demo/leader', 'a');
    const open = (password: string) => {
      const engine = patroniEngine({
        scope: 'demo',
        etcd: { endpoints: [etcd.server.url], username: 'reader', password },
      });
      closing.push(() => engine.close());
      return engine;
    };
    const engine = open('open sesame');
    expect(await engine.read()).toMatchObject({ member: 'a' });
    etcd.expireTokens();
    expect(await engine.read()).toMatchObject({ member: 'a' });
    const refused = await open('shut sesame').read();
    expect(refused).toMatchObject({ reason: 'unreachable' });
    expect(JSON.stringify(refused)).not.toContain('sesame');
  });

  it('in a URL are refused, without being repeated', () => {
    const members = ['http://reader:sesame@127.0.0.1:1', 'http://127.0.0.2:1'];
    expect(() => patroniEngine({ scope: 'demo', members })).toThrow(/must not hold a user or password/);
    expect(() => patroniEngine({ scope: 'demo', members })).not.toThrow(/sesame/);
  });
});

describe('an interface that misbehaves', () => {
  it.each([
    [
      'sends too much',
      (response: Parameters<typeof answer>[0]) => void response.end('x'.repeat(5 * 1024 * 1024)),
      /more than 4 MiB/,
    ],
    [
      'sends no JSON',
      (response: Parameters<typeof answer>[0]) => void response.end('<html>'),
      /something other than JSON/,
    ],
    [
      'redirects',
      (response: Parameters<typeof answer>[0]) => answer(response, 302, {}, { Location: '/elsewhere' }),
      /scope/,
    ],
    ['is silent', () => {}, /timeout|took longer/],
  ])('and %s is bounded', async (_, respond, detail) => {
    const paths: unknown[] = [];
    const servers = await Promise.all(
      [1, 2].map(async () => {
        const server = await new ScriptedServer((request, __, response) => {
          paths.push(request.url);
          respond(response);
        }).start();
        closing.push(() => server.stop());
        return server;
      }),
    );
    const state = await look({ members: servers.map(({ url }) => url), requestTimeoutMillis: 4_000 });
    expect(state).toMatchObject({ state: 'unknown', detail: expect.stringMatching(detail) });
    expect(new Set(paths)).toEqual(new Set(['/primary']));
  });
});

it('names the member that holds the lock while it is promoted, which says itself that it does not lead yet', async () => {
  const patroni = await started(new PatroniMembers());
  const engine = patroniEngine({ scope: 'demo', members: patroni.urls });
  closing.push(() => engine.close());
  patroni.lead('b');
  patroni.members.b.role = 'replica';
  expect(await engine.read()).toMatchObject({ state: 'leader', member: 'b' });
  expect(await engine.ask('b')).toMatchObject({ leads: false });
  patroni.members.b.role = 'primary';
  expect(await engine.ask('b')).toMatchObject({ leads: true });
  patroni.members.b.state = 'crashed';
  expect(await engine.read()).toMatchObject({ state: 'unknown', reason: 'unlocked' });
});

it('a member that is silent does not cost the word of the other', async () => {
  const [patroni, silent] = [await started(new PatroniMembers()), await new ScriptedServer(() => {}).start()];
  closing.push(() => silent.stop());
  patroni.lead('b');
  const members = [silent.url, patroni.servers.b.url];
  expect(await look({ members, requestTimeoutMillis: 4_000 })).toMatchObject({ state: 'leader', member: 'b' });
});

it('an etcd without a majority is told as such', async () => {
  const etcd = new EtcdGateway();
  await etcd.server.start();
  closing.push(() => etcd.server.stop());
  etcd.hasNoQuorum = true;
  expect(await look({ etcd: { endpoints: [etcd.server.url] } })).toMatchObject({ reason: 'no-quorum' });
});

async function look(options: Partial<Parameters<typeof patroniEngine>[0]>): Promise<EngineState> {
  const engine = patroniEngine({ scope: 'demo', ...options });
  closing.push(() => engine.close());
  return engine.read();
}

async function started(patroni: PatroniMembers): Promise<PatroniMembers> {
  closing.push(() => patroni.stop());
  return patroni.start();
}
