import type net from 'node:net';
import type { Endpoint } from '@externalname/core';
import { onAbort } from '@externalname/core/internal';
import type * as pg from 'pg';
import { endWaitForReady, forgetStartUp } from './client-internals.ts';
import { destroyClient } from './closing.ts';
import { standIn } from './stand-in.ts';

/** Connects a client by the callback form, so that a failure is reported only here. */
export function connectClient(client: pg.Client, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = () => fail(signal.reason);
    const finish = () => {
      stopListening();
      client.removeListener('error', fail);
    };
    const fail = (error: unknown) => {
      finish();
      destroyClient(client);
      reject(error);
    };
    const stopListening = onAbort(signal, abort);
    client.on('error', fail);
    // It stays when the client is connected: until the next owner listens, a last word of the server would be an uncaught exception of
    // the process.
    if (!client.listeners('error').includes(ignoreError)) client.on('error', ignoreError);
    endWaitForReady(client);
    connect(client, (error) => {
      if (error) {
        fail(error);
        return;
      }
      finish();
      forgetStartUp(client);
      resolve();
    });
  });
}

function ignoreError(): void {}

// `pg` keeps the callback for good, and what it knows would stay in memory, too.
function connect(client: pg.Client, told: (error: Error | null | undefined) => void): void {
  let waits: typeof told | undefined = told;
  client.connect((error?: Error | null) => {
    const tell = waits;
    waits = undefined;
    tell?.(error);
  });
}

/** What a client lacks to be pointed at an endpoint; `undefined` for a client of the JavaScript driver. */
export function missingToAim(client: pg.Client): string | undefined {
  return ['connect', 'on', 'connectionParameters', 'connection'].find((name) => !(name in client));
}

/**
 * Points a client that `pg` configured in its own way at the endpoint. With the external name as its host and a connected
 * socket, SNI, the name that the certificate is checked against and `connectionParameters.host` are all the external
 * name; no option of pg achieves all three.
 */
export function aim(client: pg.Client, endpoint: Endpoint, socket: net.Socket, tls: object | false): void {
  const { externalName } = endpoint.target;
  const aimed = client as unknown as AimableClient;
  aimed.host = externalName;
  aimed.connectionParameters.host = externalName;
  aimed.port = endpoint.port;
  aimed.connectionParameters.port = endpoint.port;
  aimed.connectionParameters.isDomainSocket = false;
  aimed.ssl = tls;
  aimed.connection.ssl = tls;
  aimed.connection.stream = standIn(socket);
}

interface AimableClient {
  host: string;
  port: number;
  ssl: object | false;
  readonly connectionParameters: { host: string; port: number; isDomainSocket: boolean };
  readonly connection: { ssl: object | false; stream: net.Socket };
}
