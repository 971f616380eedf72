import { isAsked } from '@externalname/core/internal';
import * as pg from 'pg';
import { processIdOf } from '../driver/client-internals.ts';
import { warn } from '../warnings.ts';

/** Where the application called from, if the environment asks for it (`NODE_DEBUG=externalname`), because it costs each call. */
export function placeOfCall(): string | undefined {
  if (!isOn) return undefined;
  const here: { stack?: string } = {};
  // What connect() of pg's own Pool calls, and so every frame of ours, is left out: the first line is the application's.
  Error.captureStackTrace(here, pg.Pool.prototype.connect);
  return (here.stack ?? '').replace(/^.*\n/, '');
}

const isOn = isAsked('externalname:pg:checkout', process.env);

/** Remembers where a client was acquired. */
export function rememberTaker(client: pg.Client, place: string | undefined): void {
  if (place !== undefined) takers.set(client, place);
}

const takers = new WeakMap<pg.Client, string>();

/** What is read from a connection. */
interface HeldConnection {
  readonly client: pg.Client;
  readonly isOut: boolean;
  readonly borrower: string;
}

/** Warns about clients that the application does not release, while the end of the pool waits for them. */
export function warnOfHeld(name: string, connections: Iterable<HeldConnection>, timeoutMillis: number): void {
  const held = [...connections].filter(({ isOut, borrower }) => isOut && borrower === 'application');
  if (held.length === 0) return;
  const clients = held.length === 1 ? 'a client that was' : `${held.length} clients that were`;
  const processes = held.map(({ client }) => processIdOf(client) ?? 'unknown').join(', ');
  const cut = Number.isFinite(timeoutMillis) ? ` What is still out after ${timeoutMillis} ms is closed.` : '';
  const places = held.map(({ client }) => takers.get(client)).filter((place) => place !== undefined);
  warn(
    'EXTERNALNAME_CLIENT_NOT_RELEASED',
    `${name}: end() waits for ${clients} not released (server process ${processes}): call release() in a finally block.${cut}`,
    places.length === 0
      ? 'NODE_DEBUG=externalname shows where it was acquired.'
      : places.map((place) => `Acquired here:\n${place}`).join('\n'),
  );
}
