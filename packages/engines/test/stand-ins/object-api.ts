import type { ServerResponse } from 'node:http';
import type { KubeConfigLike } from '@externalname/kubernetes';
import { answer, ScriptedServer } from './http-server.ts';

/** A Kubernetes API that stores any object at its path, and lets single ones be read and watched. */
export class ObjectApi {
  readonly server: ScriptedServer;
  readonly #objects = new Map<string, Record<string, unknown>>();
  readonly #watches = new Set<{ readonly path: string; readonly response: ServerResponse }>();
  #version = 100;

  constructor() {
    this.server = new ScriptedServer((request, _, response) => {
      const url = new URL(request.url ?? '/', 'http://api');
      const found = this.#objects.get(url.pathname);
      const selector = url.searchParams.get('fieldSelector');
      if (selector === null) {
        if (found !== undefined) return answer(response, 200, found);
        return answer(response, 404, { kind: 'Status', code: 404, reason: 'NotFound', message: 'not found' });
      }
      const path = `${url.pathname}/${selector.replace('metadata.name=', '')}`;
      if (!url.searchParams.has('watch')) {
        const item = this.#objects.get(path);
        return answer(response, 200, {
          metadata: { resourceVersion: String(this.#version) },
          items: item === undefined ? [] : [item],
        });
      }
      response.writeHead(200, { 'Content-Type': 'application/json' });
      response.flushHeaders();
      const watch = { path, response };
      this.#watches.add(watch);
      response.on('close', () => this.#watches.delete(watch));
    });
  }

  get kubeConfig(): KubeConfigLike {
    return {
      getCurrentCluster: () => ({ name: 'scripted', server: this.server.url }),
      getCurrentUser: () => ({ name: 'tester' }),
      getCurrentContext: () => 'scripted',
      getContextObject: () => ({ namespace: 'default' }),
      applyToHTTPSOptions: async (options) => {
        options.agent = false;
      },
    };
  }

  /** @param collection `/api/v1/namespaces/default/configmaps` */
  put(collection: string, name: string, fields: { annotations?: object; spec?: object; status?: object }): void {
    this.#version += 1;
    const { annotations, ...others } = fields;
    const object = {
      metadata: { name, namespace: 'default', resourceVersion: String(this.#version), annotations },
      ...others,
    };
    const path = `${collection}/${name}`;
    const type = this.#objects.has(path) ? 'MODIFIED' : 'ADDED';
    this.#objects.set(path, object);
    for (const watch of this.#watches)
      if (watch.path === path) watch.response.write(`${JSON.stringify({ type, object })}\n`);
  }
}
