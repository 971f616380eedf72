import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { externalNameService } from '@externalname/core/manifests';
import { createDispatcher } from '@externalname/http';
import { createCertificateAuthority, LocalCluster } from '@externalname/testing';
import { type Httpbin, startHttpbin } from './httpbin.ts';

const address = '127.0.0.61';

/** The Service `webscaler-manual` stands for httpbin.org: what works without us, what fails, and what we make of it. */
export async function tour(print: (line: string) => void): Promise<void> {
  const authority = await createCertificateAuthority();
  await using httpbin = await startHttpbin(authority, address);
  await using cluster = await LocalCluster.start({
    services: [externalNameService({ name: 'webscaler-manual', externalName: 'httpbin.org' })],
    hosts: { 'httpbin.org': [address] },
  });
  print(
    `httpbin.org is ${httpbin.isReal ? 'the httpbin of PyPI' : 'a server with the routes of httpbin'}, on this machine`,
  );

  print('\nHTTP, without us: it works, and the server sees the name of the Service');
  const { headers } = JSON.parse(await plainGet(httpbin)) as { headers: { Host: string } };
  print(`  Host: ${withoutPort(headers.Host)}`);

  print('\nHTTPS, without us: the certificate is for httpbin.org');
  print(`  ${await curl(httpbin, authority.certificate)}`);

  print('\nHTTPS, with us: verified for httpbin.org, which is what the server sees');
  await using dispatcher = createDispatcher({
    service: 'webscaler-manual',
    allowedTargets: ['httpbin.org'],
    // On this machine, the servers of the example are on loopback addresses.
    allowedNetworks: ['127.0.0.0/8'],
    dns: { nameservers: [cluster.nameserver] },
    tls: { ca: authority.certificate },
  });
  const response = await fetch(`https://webscaler-manual:${httpbin.httpsPort}/anything?test=value`, { dispatcher });
  const seen = (await response.json()) as { args: object; headers: { Host: string } };
  print(`  ${response.status} args: ${JSON.stringify(seen.args)} Host: ${withoutPort(seen.headers.Host)}`);

  print('\nA Service that leads to a host which is not on the allow-list');
  const patch = [{ op: 'replace', path: '/spec/externalName', value: 'evil.example.org' }] as const;
  await cluster.services.patch('default', 'webscaler-manual', patch);
  await using other = createDispatcher({
    service: 'webscaler-manual',
    allowedTargets: ['httpbin.org'],
    dns: { nameservers: [cluster.nameserver], attempts: 1 },
  });
  const failure: unknown = await fetch('https://webscaler-manual/get', { dispatcher: other }).catch(
    (error) => error.cause,
  );
  print(`  ${failure instanceof Error ? failure.message : 'was not refused'}`);
}

function plainGet({ httpPort }: Httpbin): Promise<string> {
  return new Promise((resolve, reject) => {
    // As the cluster's DNS would: the name is that of the Service, the address that of httpbin.org.
    const request = http.get({
      host: address,
      port: httpPort,
      path: '/headers',
      headers: { Host: `webscaler-manual:${httpPort}` },
    });
    request.on('response', (response) => text(response).then(resolve, reject)).on('error', reject);
  });
}

async function curl({ httpsPort }: Httpbin, ca: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'externalname-httpbin-'));
  try {
    await writeFile(join(folder, 'ca.pem'), ca);
    const url = `https://webscaler-manual:${httpsPort}/get`;
    const resolve = `webscaler-manual:${httpsPort}:${address}`;
    const options = [
      '--silent',
      '--show-error',
      '--noproxy',
      '*',
      '--cacert',
      join(folder, 'ca.pem'),
      '--resolve',
      resolve,
      url,
    ];
    return await new Promise((done) => {
      execFile('curl', options, (error, _, complaint) => {
        if (error === null) done('curl accepted it');
        else if (error.code === 'ENOENT') done('curl is not installed here; it would say: curl: (60)');
        else done(complaint.split('\n')[0] ?? '');
      });
    });
  } finally {
    await rm(folder, { recursive: true });
  }
}

function withoutPort(host: string): string {
  return host.replace(/:\d+$/, '');
}
