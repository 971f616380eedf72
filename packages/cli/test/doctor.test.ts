import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { called } from './called.ts';
import { DoctorSet } from './doctor-set.ts';

let set: DoctorSet;

beforeAll(async () => {
  set = await DoctorSet.start();
  await set.service();
});
afterEach(() => set.heal());
afterAll(() => set?.close());

describe('doctor', () => {
  it('says that nothing is wrong, and what it looked at', async () => {
    const port = await set.tlsServer();
    const { code, stdout } = await called(set.args('--protocol', 'tls', '--port', String(port)));
    expect(stdout).toContain('OK     Nothing is wrong.');
    expect(stdout).toMatch(/^tls +ok +127\.0\.0\.1 {2}TLSv1\.3, verified, primary-db\.example\.com/m);
    expect(code).toBe(0);
  });

  it('says first what is wrong, what it means, what users see, and what mends it', async () => {
    set.cluster.hosts.delete('primary-db.example.com');
    const { code, stdout } = await called(set.args());
    expect(code).toBe(1);
    const first = stdout.split('\n').find((line) => line.startsWith('WRONG'));
    expect(first).toBe('WRONG  The target primary-db.example.com does not exist: NXDOMAIN.');
    expect(stdout).toContain('Users see: NXDOMAIN after a CNAME');
    expect(stdout).toContain(`$ kubectl --kubeconfig ${set.kubeconfig} patch service webscaler-db`);
  });

  it('is one object for a program', async () => {
    await set.service('192.0.2.7');
    expect(await set.diagnose()).toMatchObject({ code: 1, healthy: false, rules: ['service-address'] });
  });

  it.each([
    ['curl: (60) SSL: no alternative certificate subject name matches target host name', 'error-certificate-name'],
    ['curl: (60) SSL certificate problem: unable to get local issuer certificate', 'error-certificate-trust'],
    [
      "webscaler-db.default.svc.cluster.local canonical name = primary-db.example.com.\n** server can't find primary-db.example.com: NXDOMAIN",
      'error-dangling',
    ],
    [';; Got recursion not available from 10.96.0.10, trying next server', 'error-recursion'],
    ['spec:\n  type: ExternalName\n  externalName: 192.0.2.7\n', 'error-address'],
    ['spec:\n  type: ExternalName\n  externalName: a.example.com\n  ports:\n  - port: 80\n', 'error-ports'],
    ['why is there no load balancing between the addresses?', 'error-balancing'],
    ['error: cannot execute INSERT in a read-only transaction', 'error-standby'],
    ['Error: getaddrinfo EAI_AGAIN webscaler-db', 'error-temporary'],
    ['Error: getaddrinfo ENOTFOUND webscaler-db', 'error-not-found'],
    ['psql: error: connection to server failed: Connection refused', 'error-refused'],
  ])('recognises what people paste: %j', async (text, rule) => {
    const fromOption = await called(['doctor', '--error', text, '-o', 'json']);
    expect(JSON.parse(fromOption.stdout).findings[0].rule).toBe(rule);
    const fromStdin = await called(['doctor'], { stdin: text });
    expect(fromStdin.stdout).toContain(`[${rule}]`);
    expect(fromStdin.code).toBe(1);
  });

  it.each(['externalName: db:5432', 'all is well'])('sees nothing in %j', async (text) => {
    expect(JSON.parse((await called(['doctor', '--error', text, '-o', 'json'])).stdout)).toEqual({ findings: [] });
  });

  it('names the commands of the plugin, if kubectl called it', async () => {
    const { stdout } = await called(['doctor', '--error', 'getaddrinfo ENOTFOUND'], { name: 'kubectl externalname' });
    expect(stdout).toContain('$ kubectl externalname doctor <service> -n <namespace>');
  });

  it('says that an error is not known', async () => {
    expect(await called(['doctor'], { stdin: 'out of cheese' })).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('not known'),
    });
  });

  it('without a Service and without an error cannot be used', async () => {
    expect(await called(['doctor'])).toMatchObject({ code: 2, stderr: expect.stringContaining('name a Service') });
  });

  it('ends when it is told to, in the middle of a question', async () => {
    set.cluster.dns.fault({ kind: 'silent' });
    const ending = new AbortController();
    const running = called(set.args(), { signal: ending.signal });
    await expect.poll(() => set.cluster.queries().length, { timeout: 20_000 }).toBeGreaterThan(0);
    ending.abort();
    expect(await running).toMatchObject({ code: 130, stdout: '' });
  });
});
