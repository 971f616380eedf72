import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { get } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { KubeClient } from './kube-client.ts';
import { freePort, ServerProcess } from './server-process.ts';

/**
 * kube-apiserver and etcd as plain processes, on loopback ports unless an address is named, from the folder that `KUBEBUILDER_ASSETS` names (the
 * envtest convention). RBAC is on; there is no controller manager, no scheduler and no node, which none of this needs.
 */
export class RealControlPlane {
  readonly folder: string;
  readonly url: string;
  /** The certificate that the API server shows, PEM. */
  readonly ca: string;
  /** Path of a kubeconfig for an administrator. */
  readonly kubeconfig: string;
  readonly admin: KubeClient;
  readonly #assets: string;
  readonly #settings: Settings;
  #etcd: ServerProcess;
  #apiServer: ServerProcess;

  private constructor(parts: {
    assets: string;
    settings: Settings;
    etcd: ServerProcess;
    apiServer: ServerProcess;
    ca: string;
    kubeconfig: string;
  }) {
    this.#assets = parts.assets;
    this.#settings = parts.settings;
    this.#etcd = parts.etcd;
    this.#apiServer = parts.apiServer;
    this.folder = parts.settings.folder;
    this.url = urlOf(parts.settings);
    this.ca = parts.ca;
    this.kubeconfig = parts.kubeconfig;
    this.admin = KubeClient.fromFile(parts.kubeconfig);
  }

  /** @param listen where the API server listens @defaultValue a free port of 127.0.0.1 */
  static async start(
    assets: string,
    listen: { readonly address?: string; readonly port?: number } = {},
  ): Promise<RealControlPlane> {
    const folder = await mkdtemp(join(tmpdir(), 'externalname-control-plane-'));
    const settings: Settings = {
      folder,
      etcdPort: await freePort(),
      etcdPeerPort: await freePort(),
      apiAddress: listen.address ?? '127.0.0.1',
      apiPort: listen.port ?? (await freePort()),
      adminToken: randomBytes(24).toString('hex'),
    };
    await writeKeys(settings);
    const etcd = await startEtcd(assets, settings);
    try {
      const apiServer = startApiServer(assets, settings);
      try {
        const certificate = join(folder, 'certificates', 'apiserver.crt');
        await apiServer.waitUntil('kube-apiserver', async () => existsSync(certificate), 60_000);
        const ca = await readFile(certificate, 'utf8');
        const kubeconfig = join(folder, 'kubeconfig');
        await writeFile(kubeconfig, kubeconfigText(urlOf(settings), ca, settings.adminToken));
        const plane = new RealControlPlane({ assets, settings, etcd, apiServer, ca, kubeconfig });
        await plane.#untilReady();
        return plane;
      } catch (error) {
        await apiServer.kill();
        throw error;
      }
    } catch (error) {
      await etcd.kill();
      await rm(folder, { recursive: true, force: true });
      throw error;
    }
  }

  /** Kills the API server as a crash would. etcd keeps what was written. */
  async killApiServer(): Promise<void> {
    await this.#apiServer.kill();
  }

  /** Starts it again, on the same port. */
  async restartApiServer(): Promise<void> {
    await this.#apiServer.kill();
    this.#apiServer = startApiServer(this.#assets, this.#settings);
    await this.#untilReady();
  }

  /** Forgets history before now, so that watches from older versions are told 410 Gone after a restart. */
  async compact(): Promise<void> {
    const base = `http://127.0.0.1:${this.#settings.etcdPort}/v3`;
    const range = await fetch(`${base}/kv/range`, { method: 'POST', body: JSON.stringify({ key: 'AA==' }) });
    const { header } = (await range.json()) as { header: { revision: string } };
    const compacted = await fetch(`${base}/kv/compaction`, {
      method: 'POST',
      body: JSON.stringify({ revision: header.revision, physical: true }),
    });
    if (!compacted.ok) throw new Error(`etcd did not compact: ${await compacted.text()}`);
  }

  /** A kubeconfig for a token, as a file. */
  async kubeconfigFor(token: string): Promise<string> {
    const path = join(this.folder, `kubeconfig-${randomBytes(6).toString('hex')}`);
    await writeFile(path, kubeconfigText(this.url, this.ca, token));
    return path;
  }

  async stop(): Promise<void> {
    await this.#apiServer.kill();
    await this.#etcd.kill();
    await rm(this.folder, { recursive: true, force: true });
  }

  async #untilReady(): Promise<void> {
    await this.#apiServer.waitUntil(
      'kube-apiserver',
      async () => {
        const { status } = await this.admin.request('GET', '/readyz');
        if (status !== 200) return false;
        // The namespace is made a moment after the server is ready.
        return (await this.admin.request('GET', '/api/v1/namespaces/default')).status === 200;
      },
      90_000,
    );
  }
}

interface Settings {
  readonly folder: string;
  readonly etcdPort: number;
  readonly etcdPeerPort: number;
  readonly apiAddress: string;
  readonly apiPort: number;
  readonly adminToken: string;
}

async function writeKeys({ folder, adminToken }: Settings): Promise<void> {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  await writeFile(join(folder, 'service-account.key'), privateKey.export({ type: 'pkcs1', format: 'pem' }), {
    mode: 0o600,
  });
  await writeFile(join(folder, 'service-account.pub'), publicKey.export({ type: 'spki', format: 'pem' }));
  await writeFile(join(folder, 'tokens.csv'), `${adminToken},administrator,administrator,system:masters\n`, {
    mode: 0o600,
  });
}

async function startEtcd(assets: string, { folder, etcdPort, etcdPeerPort }: Settings): Promise<ServerProcess> {
  const client = `http://127.0.0.1:${etcdPort}`;
  const peer = `http://127.0.0.1:${etcdPeerPort}`;
  const etcd = new ServerProcess(join(assets, 'etcd'), [
    `--data-dir=${join(folder, 'etcd')}`,
    `--listen-client-urls=${client}`,
    `--advertise-client-urls=${client}`,
    `--listen-peer-urls=${peer}`,
    `--initial-advertise-peer-urls=${peer}`,
    `--initial-cluster=default=${peer}`,
    '--unsafe-no-fsync',
  ]);
  try {
    await etcd.waitUntil('etcd', () => answers(`${client}/health`), 30_000);
  } catch (error) {
    await etcd.kill();
    throw error;
  }
  return etcd;
}

function urlOf({ apiAddress, apiPort }: Settings): string {
  return `https://${apiAddress}:${apiPort}`;
}

function startApiServer(assets: string, { folder, etcdPort, apiAddress, apiPort }: Settings): ServerProcess {
  return new ServerProcess(join(assets, 'kube-apiserver'), [
    `--etcd-servers=http://127.0.0.1:${etcdPort}`,
    `--secure-port=${apiPort}`,
    `--bind-address=${apiAddress}`,
    `--advertise-address=${apiAddress}`,
    '--endpoint-reconciler-type=none',
    `--cert-dir=${join(folder, 'certificates')}`,
    `--token-auth-file=${join(folder, 'tokens.csv')}`,
    '--authorization-mode=RBAC',
    '--service-account-issuer=https://kubernetes.default.svc.cluster.local',
    `--service-account-signing-key-file=${join(folder, 'service-account.key')}`,
    `--service-account-key-file=${join(folder, 'service-account.pub')}`,
    '--service-cluster-ip-range=10.96.0.0/16,fd00::/112',
    '--watch-cache=true',
    '--v=1',
  ]);
}

function kubeconfigText(server: string, ca: string, token: string): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'real', cluster: { server, 'certificate-authority-data': Buffer.from(ca).toString('base64') } }],
    users: [{ name: 'user', user: { token } }],
    contexts: [{ name: 'real', context: { cluster: 'real', user: 'user', namespace: 'default' } }],
    'current-context': 'real',
  });
}

function answers(url: string): Promise<boolean> {
  return new Promise((resolve) => {
    const request = get(url, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    request.once('error', () => resolve(false));
  });
}
