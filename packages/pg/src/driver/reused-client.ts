import type * as pg from 'pg';
import { internalsOf } from './client-internals.ts';
import type { QueryArguments } from './query-forms.ts';

/** The state of a client before its first attempt, as far as its user set it. */
export interface Snapshot {
  used: boolean;
  readonly listeners: readonly (readonly [string | symbol, (...args: unknown[]) => void])[];
}

/** Take it before the first attempt. */
export function snapshot(client: pg.Client): Snapshot {
  const connection = emitterOf(client);
  const listeners = connection
    .eventNames()
    .flatMap((name) => connection.rawListeners(name).map((listener) => [name, listener] as const));
  return { used: false, listeners: listeners as unknown as Snapshot['listeners'] };
}

/** Resets a client as if it had never tried to connect. A failed attempt leaves properties on it that a new client does not have. */
export function makeAnew(client: pg.Client, fresh: pg.Client, { listeners }: Snapshot): void {
  const old = emitterOf(client);
  old.removeAllListeners();
  old.on('error', () => undefined);
  for (const name of Object.getOwnPropertyNames(client)) {
    // Guards of the former attempt.
    if (name.startsWith('_handle')) Reflect.deleteProperty(client, name);
  }
  for (const name of Object.getOwnPropertyNames(fresh)) {
    if (keptProperties.has(name)) continue;
    const property = Object.getOwnPropertyDescriptor(fresh, name);
    if (property !== undefined) Object.defineProperty(client, name, property);
  }
  const connection = emitterOf(client);
  for (const [name, listener] of listeners) connection.on(name, listener);
}

// Listeners and type parsers belong to its user.
const keptProperties = new Set(['_events', '_eventsCount', '_maxListeners', '_types']);

/** The client as the connector sees it: queries through it concern only the attempt. */
export function attemptView(
  client: pg.Client,
  own: {
    connect(callback: unknown): unknown;
    end(callback: () => void): void;
    query(query: QueryArguments): unknown;
  },
): pg.Client {
  return new Proxy(client, {
    get(_, name) {
      if (name === 'connect') return own.connect;
      if (name === 'end') return own.end;
      if (name === 'query') return (...query: QueryArguments) => own.query(query);
      const value: unknown = Reflect.get(client, name, client);
      return typeof value === 'function' ? value.bind(client) : value;
    },
    set: (_, name, value) => Reflect.set(client, name, value, client),
  });
}

// Other kinds of clients have none, and were refused before.
function emitterOf(client: pg.Client): NodeJS.EventEmitter {
  const { connection } = internalsOf(client);
  if (connection === undefined) throw new TypeError('a client without a connection cannot be reset');
  return connection;
}
