import { once } from 'node:events';
import net from 'node:net';
import type { ServiceManifest } from '@externalname/core/manifests';

/**
 * Plays kube-proxy for one Service: while it has a cluster IP, connections to it are spread over the pods. Rules go at once when the
 * Service changes its type, and connections that are open stay, as in iptables and nftables mode.
 */
export class KubeProxy implements AsyncDisposable {
  readonly #pods: readonly net.NetConnectOpts[];
  readonly #open = new Set<net.Socket>();
  #server: net.Server | undefined;
  #next = 0;

  constructor(pods: readonly net.NetConnectOpts[]) {
    this.#pods = pods;
  }

  /** Sets the rules that the Service asks for. */
  async sync({ spec }: ServiceManifest): Promise<void> {
    this.#server?.close();
    this.#server = undefined;
    const { clusterIP, ports: [port] = [] } = spec;
    if (spec.type !== 'ClusterIP' || clusterIP === undefined || port === undefined) return;
    this.#server = net.createServer((client) => this.#forward(client));
    await once(this.#server.listen(port.port, clusterIP), 'listening');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server?.close();
    for (const socket of this.#open) socket.destroy();
  }

  #forward(client: net.Socket): void {
    const pod = this.#pods[this.#next++ % this.#pods.length];
    if (pod === undefined) {
      client.destroy();
      return;
    }
    const server = net.connect(pod);
    for (const [one, other] of [
      [client, server],
      [server, client],
    ] as const) {
      this.#open.add(one);
      one.on('error', () => other.destroy());
      one.on('close', () => {
        this.#open.delete(one);
        other.destroy();
      });
    }
    client.pipe(server).pipe(client);
  }
}
