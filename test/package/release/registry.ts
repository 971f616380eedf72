// A registry for one scope, in this process: `npm publish` puts packages into it, and npm, pnpm and yarn install from it, as they do from
// the real one. What the packages depend on comes from there.
// https://github.com/npm/registry/blob/main/docs/responses/package-metadata.md
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { json } from 'node:stream/consumers';

/** A package as `npm publish` sends it and as a registry shows it. */
interface Document {
  readonly name: string;
  readonly versions: Readonly<Record<string, { readonly dist: { tarball: string } }>>;
  readonly _attachments?: Readonly<Record<string, { readonly data: string }>>;
}

export interface Registry extends AsyncDisposable {
  /** `http://127.0.0.1:port/` */
  readonly address: string;
  /** The names of what was published. */
  readonly names: () => readonly string[];
}

export async function startRegistry(): Promise<Registry> {
  const documents = new Map<string, Document>();
  const tarballs = new Map<string, Buffer>();
  const server = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => response.writeHead(500).end(String(error)));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const listening = server.address();
  if (listening === null || typeof listening === 'string') throw new Error('the registry does not listen on a port');
  const address = `http://127.0.0.1:${listening.port}/`;

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = decodeURIComponent(new URL(request.url ?? '/', address).pathname).slice(1);
    if (request.method === 'PUT') {
      publish((await json(request)) as Document);
      response.writeHead(201, { 'content-type': 'application/json' }).end('{"ok":true}');
      return;
    }
    const tarball = tarballs.get(path);
    const document = documents.get(path);
    if (tarball !== undefined) response.writeHead(200, { 'content-type': 'application/octet-stream' }).end(tarball);
    else if (document !== undefined) {
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(document));
    } else response.writeHead(404, { 'content-type': 'application/json' }).end('{"error":"not found"}');
  }

  function publish({ _attachments = {}, ...document }: Document): void {
    const [tarball] = Object.values(_attachments);
    if (tarball === undefined) throw new Error(`${document.name} came without a tarball`);
    for (const [version, { dist }] of Object.entries(document.versions)) {
      const path = `${document.name}/-/${version}.tgz`;
      dist.tarball = address + path;
      tarballs.set(path, Buffer.from(tarball.data, 'base64'));
    }
    documents.set(document.name, document);
  }

  return {
    address,
    names: () => [...documents.keys()],
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
