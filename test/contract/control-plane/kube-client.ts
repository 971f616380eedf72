import { request } from 'node:https';
import { KubeConfig } from '@kubernetes/client-node';

/** An answer of the API server, whatever its status. */
export interface ApiAnswer {
  readonly status: number;
  readonly body: Record<string, unknown>;
  /** Texts of `Warning: 299` headers. */
  readonly warnings: readonly string[];
}

/** Plain requests to an API server: the tests compare verdicts, so nothing here raises for a status. */
export class KubeClient {
  readonly config: KubeConfig;

  constructor(config: KubeConfig) {
    this.config = config;
  }

  static fromFile(path: string): KubeClient {
    const config = new KubeConfig();
    config.loadFromFile(path);
    return new KubeClient(config);
  }

  /** The same server with other credentials. */
  withToken(token: string): KubeClient {
    const cluster = this.config.getCurrentCluster();
    if (cluster === null) throw new Error('the kubeconfig has no current cluster');
    const config = new KubeConfig();
    config.loadFromClusterAndUser(cluster, { name: 'token', token });
    return new KubeClient(config);
  }

  get server(): string {
    return this.config.getCurrentCluster()?.server ?? '';
  }

  async request(method: string, path: string, body?: unknown, contentType = 'application/json'): Promise<ApiAnswer> {
    const text = body === undefined ? undefined : JSON.stringify(body);
    const options: Parameters<typeof request>[1] = {
      method,
      timeout: 60_000,
      headers: {
        Accept: 'application/json',
        ...(text !== undefined && { 'Content-Type': contentType, 'Content-Length': Buffer.byteLength(text) }),
      },
    };
    await this.config.applyToHTTPSOptions(options);
    return new Promise((resolve, reject) => {
      const outgoing = request(this.server + path, options, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          resolve({
            status: response.statusCode ?? 0,
            body: parse(Buffer.concat(chunks).toString()),
            warnings: warningsOf(response.headersDistinct['warning']),
          });
        });
      });
      outgoing.on('timeout', () => outgoing.destroy(new Error(`no answer to ${method} ${path}`)));
      outgoing.on('error', reject);
      outgoing.end(text);
    });
  }

  /** The same, for what must succeed. */
  async must(method: string, path: string, body?: unknown, contentType?: string): Promise<Record<string, unknown>> {
    const answer = await this.request(method, path, body, contentType);
    if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${String(answer.body['message'])}`);
    return answer.body;
  }
}

function parse(text: string): Record<string, unknown> {
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return { message: text };
  }
}

// RFC 9111 section 5.5, as Kubernetes writes it: 299 - "text"
function warningsOf(headers: readonly string[] | undefined): string[] {
  return (headers ?? []).flatMap((header) =>
    [...header.matchAll(/299 - "((?:[^"\\]|\\.)*)"/g)].map((match) => (match[1] ?? '').replaceAll('\\"', '"')),
  );
}
