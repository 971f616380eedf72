import { InvalidArgumentError } from '@externalname/core';
import { checkFunction, checkNumber, checkText } from '@externalname/core/internal';
import type * as pg from 'pg';

/**
 * Checks the options of `pg` that `pg` would accept but could not use: it would wait forever, open connections without limit, or
 * fail with a TypeError when it connects. What works in `pg` is accepted, numbers as text included. A falsy value counts as not set.
 *
 * @returns the numbers that were given as text
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT` naming the option
 */
export function checkOptionsOfPg(options: pg.PoolConfig): Readonly<Record<string, number>> {
  const given = options as Readonly<Record<string, unknown>>;
  const numbers: Record<string, number> = {};
  for (const [name, least] of Object.entries(leastNumbers)) {
    const value = given[name];
    const number = numberOfPg(name, value, least);
    if (number !== undefined && number !== value) numbers[name] = number;
  }
  for (const name of sessionTimeouts) checkSessionTimeout(name, given[name]);
  for (const name of texts) {
    if (given[name]) checkText(name, given[name]);
  }
  for (const name of functions) {
    if (given[name]) checkFunction(name, given[name]);
  }
  if (given['types']) checkFunction('types.getTypeParser', Object(given['types']).getTypeParser);
  checkTlsOption(given['ssl']);
  return numbers;
}

/** @throws InvalidArgumentError for an invalid port, as `pg` has read it from options, connection string or environment */
export function checkPort(port: number, options: pg.PoolConfig): void {
  const argument = options.port ? 'port' : options.connectionString ? 'connectionString' : 'PGPORT';
  checkNumber(argument, port, aPort);
}

function numberOfPg(name: string, value: unknown, least: number): number | undefined {
  if (!value) return undefined;
  const number: unknown = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
  checkNumber(name, Number.isNaN(number) ? value : number, { least });
  return number as number;
}

// Sent to the server when the session starts, as the whole number at the start of the text.
function checkSessionTimeout(name: string, value: unknown): void {
  if (!value) return;
  const sent = typeof value === 'string' ? Number.parseInt(value, 10) : value;
  checkNumber(name, Number.isNaN(sent) ? value : sent, { least: 0, unit: 'milliseconds' });
}

function checkTlsOption(ssl: unknown): void {
  if (!ssl || ssl === true || typeof ssl === 'object' || ssl === 'true' || ssl === 'no-verify') return;
  // The value is not shown: a text may be a key that was put in the wrong place.
  throw new InvalidArgumentError(
    'ssl',
    `must be true, false or an object of TLS options like { ca }, got a ${typeof ssl}. A mode like "require" is written as sslmode in ` +
      'the connection string, or as PGSSLMODE',
  );
}

const aPort = { least: 1, most: 65_535, whole: true };

// The least value of each. Below 0, `pg` waits without limit, or not at all.
const leastNumbers: Readonly<Record<string, number>> = {
  max: 0,
  poolSize: 0,
  connectionTimeoutMillis: 0,
  query_timeout: 0,
  min: Number.NEGATIVE_INFINITY,
  idleTimeoutMillis: Number.NEGATIVE_INFINITY,
  maxUses: Number.NEGATIVE_INFINITY,
  maxLifetimeSeconds: Number.NEGATIVE_INFINITY,
  keepAliveInitialDelayMillis: Number.NEGATIVE_INFINITY,
};
const sessionTimeouts = ['statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout'];
const texts = [
  'host',
  'user',
  'database',
  'connectionString',
  'application_name',
  'fallback_application_name',
  'options',
];
const functions = ['Client', 'log', 'onConnect', 'verify', 'Promise'];
