import { type Channel, channel } from 'node:diagnostics_channel';
import { debuglog, inspect } from 'node:util';
import { printable } from '../input.ts';

/**
 * Prints what is published on the channels of these packages to stderr, a line for each event, if the environment asks for it:
 * `NODE_DEBUG=externalname` for all of them, or `DEBUG=externalname:*`, `DEBUG=externalname:pg:*,-externalname:pg:retry` in the
 * notation of the package `debug`. Both are read when a channel is made.
 */
export function printIfAsked(name: string, environment: NodeJS.ProcessEnv = process.env): void {
  if (!isAsked(name, environment)) return;
  // The ESM and the CJS copy of a package have a channel of the same name each, and it is one channel.
  const printed = printedNames();
  if (printed.has(name)) return;
  printed.add(name);
  const kept: Channel = channel(name);
  kept.subscribe((payload) => {
    process.stderr.write(`${lineOf(name, payload as object)}\n`);
  });
  // Node.js forgets a channel without a reference.
  held.push(kept);
}

/** Whether the environment asks for this channel to be printed. */
export function isAsked(name: string, environment: NodeJS.ProcessEnv): boolean {
  if (debuglog('externalname').enabled) return true;
  const patterns = (environment['DEBUG'] ?? '').split(/[\s,]+/).filter((pattern) => pattern !== '');
  const matches = (pattern: string) => {
    const text = pattern.split('*').map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'));
    return new RegExp(`^${text.join('.*')}$`).test(name);
  };
  const excluded = patterns.filter((pattern) => pattern.startsWith('-')).map((pattern) => pattern.slice(1));
  return !excluded.some(matches) && patterns.some((pattern) => !pattern.startsWith('-') && matches(pattern));
}

/** An event in one line: `2026-11-29T01:00:00.000Z externalname:pg:connect name=webscaler-db durationMillis=12`. */
export function lineOf(name: string, payload: object, now = new Date()): string {
  const fields = Object.entries(payload)
    // When it happened stands at the head of the line.
    .filter(([key, value]) => value !== undefined && key !== 'time')
    .map(([key, value]) => `${key}=${shownValue(value)}`);
  return [now.toISOString(), name, ...fields].join(' ');
}

function shownValue(value: unknown): string {
  const text = textOf(value);
  const short = text.length > longestValue ? `${text.slice(0, longestValue - 1)}…` : text;
  const shown = printable(short);
  return /^[^\s"=]+$/.test(shown) ? shown : JSON.stringify(shown);
}

function textOf(value: unknown): string {
  if (typeof value === 'number') return String(Number.isInteger(value) ? value : Math.round(value * 10) / 10);
  if (value instanceof Error) {
    const { code } = value as { code?: unknown };
    return typeof code === 'string' && !value.message.includes(code) ? `${code} ${value.message}` : value.message;
  }
  if (Array.isArray(value)) return value.map(textOf).join(',');
  return typeof value === 'object' && value !== null
    ? inspect(value, { breakLength: Number.POSITIVE_INFINITY, compact: true, depth: 3 })
    : String(value);
}

function printedNames(): Set<string> {
  const registry = globalThis as { [registryKey]?: Set<string> };
  registry[registryKey] ??= new Set();
  return registry[registryKey];
}

const registryKey = Symbol.for('@externalname/core/printed-channels');
const held: Channel[] = [];
const longestValue = 300;
