import { LocalCluster } from '@externalname/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { isInstalled, run } from './tools/programs.ts';
import { serviceName, webscalerDb } from './tools/webscaler.ts';

const hasDig = isInstalled('dig', ['-v']) && isInstalled('nslookup', ['-version']);
if (!hasDig) console.warn('dig and nslookup are not installed (bind9-dnsutils): the tests with them are skipped');

describe.skipIf(!hasDig)('the scenario', () => {
  let cluster: LocalCluster;

  beforeEach(async () => {
    cluster = await LocalCluster.start({
      services: [
        webscalerDb,
        { metadata: { name: 'webscaler-manual' }, spec: { type: 'ExternalName', externalName: 'httpbin.org' } },
      ],
      hosts: { 'httpbin.org': ['192.0.2.1', '192.0.2.2', '192.0.2.3', '192.0.2.4', '192.0.2.5', '192.0.2.6'] },
    });
  });

  afterEach(() => cluster.close());

  const nslookup = (name: string) =>
    run('nslookup', [`-port=${cluster.dns.port}`, '-search', `-domain=default.svc.cluster.local`, name, '127.0.0.1']);
  const dig = (...args: string[]) => run('dig', ['@127.0.0.1', '-p', String(cluster.dns.port), ...args]);

  it('shows the target of webscaler-db before and after the switch, and that the target is made up', async () => {
    const before = await nslookup('webscaler-db');
    expect(before.stdout).toContain(`${serviceName}\tcanonical name = primary-db.example.com.`);
    expect(before.stdout).toContain("** server can't find primary-db.example.com: NXDOMAIN");
    await cluster.services.patch('default', 'webscaler-db', [
      { op: 'replace', path: '/spec/externalName', value: 'secondary-db.example.com' },
    ]);
    const after = await nslookup('webscaler-db');
    expect(after.stdout).toContain(`${serviceName}\tcanonical name = secondary-db.example.com.`);
  });

  it('shows the target of webscaler-manual and its six addresses', async () => {
    const { stdout } = await nslookup('webscaler-manual');
    expect(stdout).toContain('webscaler-manual.default.svc.cluster.local\tcanonical name = httpbin.org.');
    expect(stdout.match(/Address: 192\.0\.2\.\d/g)).toHaveLength(6);
  });

  it('prints the records with dig, over UDP and TCP', async () => {
    const [udp, tcp] = [
      await dig('+noall', '+answer', serviceName, 'CNAME'),
      await dig('+tcp', '+noall', '+answer', serviceName, 'CNAME'),
    ];
    expect(udp.stdout).toMatch(new RegExp(`^${serviceName}\\.\\s+5\\s+IN\\s+CNAME\\s+primary-db.example.com\\.\\n$`));
    expect(tcp.stdout).toBe(udp.stdout);
  });

  it('prints the SOA of the cluster if a Service does not exist', async () => {
    const { stdout } = await dig('nothing.default.svc.cluster.local');
    expect(stdout).toContain('status: NXDOMAIN');
    expect(stdout).toMatch(
      /^cluster\.local\.\s+5\s+IN\s+SOA\s+ns\.dns\.cluster\.local\. hostmaster\.cluster\.local\. \d+ 7200 1800 86400 5$/m,
    );
  });

  it('answers questions of any type', async () => {
    const { stdout } = await dig('dns-version.cluster.local', 'TXT', '+short');
    expect(stdout).toBe('"1.1.0"\n');
    expect((await dig(serviceName, 'HTTPS')).stdout).toMatch(/status: NOERROR[\s\S]*ANSWER: 0, AUTHORITY: 1/);
    expect((await dig(serviceName, 'TYPE65280')).stdout).toMatch(/status: NOERROR[\s\S]*ANSWER: 0, AUTHORITY: 1/);
  });
});
