import type net from 'node:net';
import type { Clock } from '@externalname/core';
import { addressOf, dial, onAbort, withDeadline } from '@externalname/core/internal';
import * as pg from 'pg';
import { ConnectTimeoutError } from '../errors.ts';
import { standIn } from './stand-in.ts';

/** Where the server of a connection listens. */
export type ServerAddress = { readonly address: string; readonly port: number } | { readonly path: string };

/** See {@link requestCancel}. */
export interface CancelOptions {
  readonly clock: Clock;
  /** Ends the attempt early. */
  readonly signal?: AbortSignal | undefined;
  /** The longest time, from TCP to the server's goodbye, in milliseconds. @defaultValue 2000 */
  readonly timeoutMillis?: number | undefined;
}

/**
 * Asks a server, over a separate connection, to cancel what the session of `client` runs (PostgreSQL documentation,
 * "Canceling Requests in Progress"). Resolves when the server has taken the request; the server never says what came of it. Does
 * nothing if the server gave no key, or its address is not known.
 *
 * If the client uses TLS, so does the request, with the same options: the key, with which anyone can cancel, is
 * sent only after the certificate is verified. `cancel()` of `pg` sends it in the clear.
 *
 * @param address where the client is connected, not where its name leads now
 * @throws why the server did not take it, or the signal's reason
 */
export async function requestCancel(
  client: pg.Client,
  address: ServerAddress | undefined,
  options: CancelOptions,
): Promise<void> {
  const { processID, secretKey } = client as unknown as KeyHolder;
  if (address === undefined || typeof processID !== 'number' || secretKey === null || secretKey === undefined) return;
  const { signal, clock, timeoutMillis = cancelTimeoutMillis } = options;
  await withDeadline((inner) => send(client as unknown as KeyHolder, address, inner), {
    signal,
    clock,
    timeoutMillis,
    onTimeout: () => new ConnectTimeoutError(describeAddress(address), timeoutMillis),
  });
}

/** Where a connected client leads, according to its socket. */
export function serverAddressOf(client: pg.Client): ServerAddress | undefined {
  const { host, port, connection } = client as unknown as KeyHolder;
  if (host?.startsWith('/')) return { path: `${host}/.s.PGSQL.${port}` };
  const { remoteAddress, remotePort } = connection?.stream ?? {};
  if (remoteAddress === undefined || remotePort === undefined) return undefined;
  return { address: remoteAddress, port: remotePort };
}

async function send(client: KeyHolder, address: ServerAddress, signal: AbortSignal): Promise<void> {
  const { ssl, sslNegotiation, host, port, processID, secretKey } = client;
  const socket = await dial('path' in address ? address : { host: address.address, port: address.port }, signal);
  // `pg` starts TLS, as it did for the client.
  const connection = new pg.Connection({
    stream: standIn(socket),
    ssl,
    sslNegotiation,
  } as object) as unknown as CancelConnection;
  // Its parser would throw on unknown input. There is nothing to read: the server only hangs up.
  connection.attachListeners = (stream) => stream.resume();
  try {
    signal.throwIfAborted();
    await new Promise<void>((resolve, reject) => {
      let sent = false;
      const request = () => {
        sent = true;
        connection.cancel(processID, secretKey);
      };
      onAbort(signal, () => reject(signal.reason));
      // libpq also accepts a reset as the end.
      connection.on('error', (error: Error) => (sent ? resolve() : reject(error)));
      connection.once('end', () => (sent ? resolve() : reject(new Error('closed before the request was sent'))));
      connection.once('connect', () => {
        if (!ssl) request();
        else if (sslNegotiation !== 'direct') connection.requestSsl();
      });
      // `pg` emits it when the handshake begins.
      connection.once('sslconnect', () => connection.stream.once('secureConnect', request));
      connection.connect(port, host);
    });
  } finally {
    connection.stream.destroy();
    socket.destroy();
  }
}

function describeAddress(address: ServerAddress): string {
  return 'path' in address ? address.path : addressOf(address);
}

// What `pg` keeps of BackendKeyData. The key is a number, because `pg` asks for protocol 3.0, for which PostgreSQL 18 too sends
// four bytes. With 3.2 keys are longer; if `pg` ever asks for that, it reads and writes the key in its own way.
interface KeyHolder {
  readonly host: string;
  readonly port: number;
  readonly ssl: boolean | object;
  readonly sslNegotiation?: string;
  readonly processID: number | null;
  readonly secretKey: unknown;
  readonly connection?: { readonly stream: Partial<Pick<net.Socket, 'remoteAddress' | 'remotePort'>> };
}

interface CancelConnection extends NodeJS.EventEmitter {
  readonly stream: net.Socket;
  attachListeners(stream: net.Socket): void;
  connect(port: number, host: string): void;
  requestSsl(): void;
  cancel(processID: number | null, secretKey: unknown): void;
}

// Four round trips between continents; a server that takes longer is as good as gone.
const cancelTimeoutMillis = 2_000;
