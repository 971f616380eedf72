import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import tls from 'node:tls';
import { afterAll, describe, expect, it } from 'vitest';
import { tlsIdentity } from '../src/index.ts';

// The certificates are made by the openssl program: it writes what no library of ours would, such as a common name only.
const openssl = hasOpenssl();
if (!openssl) console.warn('skipped: TLS identity against a real handshake needs the openssl program');
const directory = mkdtempSync(join(tmpdir(), 'tls-identity-'));
afterAll(() => rmSync(directory, { recursive: true }));

const service = 'webscaler-db.default.svc.cluster.local';
const target = { externalName: 'primary-db.example.com', via: [service] };

describe.skipIf(!openssl)('a TLS connection to a target', () => {
  it('is made where the certificate has the ExternalName, which is what SNI asks for', async () => {
    const { outcome, sni } = await handshake({ names: 'DNS:primary-db.example.com' });
    expect(outcome).toBe('verified');
    expect(sni).toBe('primary-db.example.com');
  });

  it('is made where the certificate has a wildcard for it', async () => {
    expect(await handshake({ names: 'DNS:*.example.com' })).toMatchObject({ outcome: 'verified' });
  });

  it('is refused where the certificate has the name of the Service instead', async () => {
    const { outcome } = await handshake({ names: `DNS:webscaler-db,DNS:${service}` });
    expect(outcome).toMatchObject({
      code: 'ERR_EXTERNALNAME_TLS_IDENTITY',
      wanted: 'primary-db.example.com',
      via: [service],
      certificateNames: ['webscaler-db', service],
      cause: { code: 'ERR_TLS_CERT_ALTNAME_INVALID' },
    });
  });

  it('is made by the common name of a certificate that has nothing else', async () => {
    expect(await handshake({ commonName: 'primary-db.example.com' })).toMatchObject({ outcome: 'verified' });
  });

  it('is refused by the common name of a certificate that has alternative names of another kind', async () => {
    const names = 'URI:spiffe://example.com/db';
    expect(await handshake({ commonName: 'primary-db.example.com', names })).toMatchObject({
      outcome: { code: 'ERR_EXTERNALNAME_TLS_IDENTITY', certificateNames: ['spiffe://example.com/db'] },
    });
  });

  it('is made to an IP address that the certificate has, without SNI', async () => {
    const host = { externalName: '127.0.0.1', via: [] };
    const { outcome, sni } = await handshake({ names: 'IP:127.0.0.1', target: host });
    expect(outcome).toBe('verified');
    expect(sni).toBe(false);
  });

  it('is refused by the chain of trust as before, where the authority is not known', async () => {
    expect(await handshake({ names: 'DNS:primary-db.example.com', trusted: false })).toMatchObject({
      outcome: { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' },
    });
  });
});

interface Handshake {
  names?: string;
  commonName?: string;
  target?: { externalName: string; via: readonly string[] };
  trusted?: boolean;
}

/** One connection to a server on loopback whose certificate says so. */
async function handshake({ names, commonName = 'server', target: of = target, trusted = true }: Handshake) {
  const { certificate, privateKey } = selfSigned(commonName, names);
  let sni: string | false | null = null;
  const server = tls.createServer({ cert: certificate, key: privateKey }, (socket) => {
    sni = socket.servername;
    socket.end();
  });
  server.on('tlsClientError', () => {}); // The client says why.
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  try {
    const ca = trusted ? { ca: certificate } : {};
    const socket = tls.connect({ host: '127.0.0.1', port, ...ca, ...tlsIdentity(of) });
    const outcome = await once(socket, 'secureConnect').then(
      () => 'verified' as const,
      (error: unknown) => error,
    );
    if (outcome === 'verified') {
      socket.resume();
      await once(socket, 'close');
    }
    socket.destroy();
    return { outcome, sni };
  } finally {
    server.close();
    await once(server, 'close');
  }
}

function selfSigned(commonName: string, names: string | undefined) {
  const keyPath = join(directory, 'key.pem');
  const certificatePath = join(directory, 'certificate.pem');
  const alternative = names === undefined ? [] : ['-addext', `subjectAltName=${names}`];
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', keyPath];
  const request = ['req', '-x509', ...key, '-subj', `/CN=${commonName}`, '-days', '1', ...alternative];
  execFileSync('openssl', [...request, '-out', certificatePath], { stdio: 'pipe' });
  return { certificate: readFileSync(certificatePath, 'utf8'), privateKey: readFileSync(keyPath, 'utf8') };
}

function hasOpenssl(): boolean {
  try {
    execFileSync('openssl', ['version'], { stdio: 'pipe' });
    return true;
  } catch {
    return false;
  }
}
