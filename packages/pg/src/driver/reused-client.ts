import type * as pg from 'pg';
import { internalsOf } from './client-internals.ts';
import type { QueryArguments } from './query-forms.ts';

/** What a client is before its first attempt, as far as its user made it so. */
export interface Snapshot {
  used: boolean;
  readonly listeners: readonly (readonly [string | symbol, (...args: unknown[]) => void])[];
}

/** To be taken before the first attempt. */
export function snapshot(client: pg.Client): Snapshot {
  const connection = emitterOf(client);
  const listeners = connection
    .eventNames()
    .flatMap((name) => connection.rawListeners(name).map((listener) => [name, listener] as const));
  return { used: false, listeners: listeners as unknown as Snapshot['listeners'] };
}

/** Makes a client as if it had never tried to connect. `pg` keeps what a failed attempt left in properties of its own; a new client has none of it. */
export function makeAnew(client: pg.Client, fresh: pg.Client, { listeners }: Snapshot): void {
  const old = emitterOf(client);
  old.removeAllListeners();
  old.on('error', () => undefined);
  for (const name of Object.getOwnPropertyNames(client)) {
    // What guarded the former attempt.
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

// Listeners and type parsers are its user's.
const keptProperties = new Set(['_events', '_eventsCount', '_maxListeners', '_types']);

/** The client as the connector gets it: what is asked through it concerns one attempt. */
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

// Clients of another make than pg's own have none, and are refused before.
function emitterOf(client: pg.Client): NodeJS.EventEmitter {
  const { connection } = internalsOf(client);
  if (connection === undefined) throw new TypeError('a client without a connection cannot be made anew');
  return connection;
}
