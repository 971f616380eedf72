import { once } from 'node:events';
import https from 'node:https';
import { setTimeout as pause } from 'node:timers/promises';
import type { CertificateAuthority } from '@externalname/testing';

/** A server of the catalog. It answers every request with its own name, after a few milliseconds of work. */
export interface CatalogServer extends AsyncDisposable {
  readonly name: string;
  readonly address: string;
  readonly port: number;
  /** Requests that it has answered. */
  readonly answered: number;
}

/** Starts one. Port 0 picks a free one. */
export async function startCatalog(
  authority: CertificateAuthority,
  { name, hostName, address, port = 0 }: { name: string; hostName: string; address: string; port?: number },
): Promise<CatalogServer> {
  const { certificate, privateKey } = await authority.issue({ hostNames: [hostName] });
  let answered = 0;
  const server = https.createServer({ cert: certificate, key: privateKey }, (request, response) => {
    request.resume().once('end', () => {
      pause(workMillis).then(
        () => {
          answered += 1;
          response.end(name);
        },
        () => undefined,
      );
    });
  });
  await once(server.listen(port, address), 'listening');
  const bound = server.address();
  return {
    name,
    address,
    port: typeof bound === 'object' && bound !== null ? bound.port : port,
    get answered() {
      return answered;
    },
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
    },
  };
}

const workMillis = 5;
