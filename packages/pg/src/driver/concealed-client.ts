import { type InspectOptions, inspect } from 'node:util';
import type * as pg from 'pg';
import { hidden } from '../secrets.ts';
import { listenBefore } from './client-internals.ts';
import { owners, sharedListener } from './shared-listener.ts';

/**
 * Takes the client's own password and passphrase out of what its server says: a server that asks for the password may repeat it in
 * an error message that is logged. A password of fewer than six characters, or one that equals the user's or the database's name,
 * is left, because such words stand in half of what a server says.
 */
export function hideEchoes(client: pg.ClientBase): void {
  listenBefore(client, 'errorMessage', hide);
  listenBefore(client, 'notice', hide);
}

const hide = sharedListener<Record<string, unknown>>((client, message) => {
  const { password, ssl, user, database } = client as unknown as Record<string, unknown>;
  const passphrase = typeof ssl === 'object' ? (ssl as { passphrase?: unknown } | null)?.passphrase : undefined;
  for (const secret of [password, passphrase]) {
    if (typeof secret !== 'string' || secret.length < shortestEcho || secret === user || secret === database) continue;
    // The stack begins with the message, and is the most expensive part to read.
    const isInStack = typeof message['message'] === 'string' && message['message'].includes(secret);
    if (isInStack && typeof message['stack'] === 'string') {
      message['stack'] = message['stack'].replaceAll(secret, hidden);
    }
    for (const field of spokenFields) {
      const text = message[field];
      if (typeof text === 'string' && text.includes(secret)) message[field] = text.replaceAll(secret, hidden);
    }
  }
});

const shortestEcho = 6;
const spokenFields = ['message', 'detail', 'hint', 'where', 'internalQuery', 'schema', 'table', 'column'] as const;

/**
 * Keeps passwords, passphrases and keys out of the output of `console.log` and `JSON.stringify` for a client, at every depth. `pg` hides
 * the password and the key, but neither the passphrase nor the TLS context.
 */
export function hideClientSecrets(client: pg.ClientBase): void {
  const { connection, connectionParameters } = client as unknown as Record<string, object | undefined>;
  for (const part of [client, connection, connectionParameters]) {
    if (part === undefined) continue;
    if (part !== client) owners.note(part, client);
    Object.defineProperties(part, concealed);
  }
}

// The same functions for all clients, because an idle connection should take little memory.
const concealed: PropertyDescriptorMap = {
  [inspect.custom]: { value: inspectFacts, configurable: true },
  toJSON: { value: factsOf, configurable: true, writable: true },
};

function factsOf(this: object): Record<string, unknown> {
  const { user, host, port, database, processID } = (owners.of(this) ?? this) as Record<string, unknown>;
  return { user, host, port, database, processID };
}

function inspectFacts(this: { toJSON(): unknown }, _depth: number, options: InspectOptions): string {
  return `${this.constructor.name} ${inspect(this.toJSON(), options)}`;
}
