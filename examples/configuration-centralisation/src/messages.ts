/** What the processes of the example tell each other over Node's IPC channel. Where the database is, is not among it. */
export type Command = { readonly kind: 'write' } | { readonly kind: 'stop' };

/** What an application tells. */
export type Message =
  /** Its pool has a connection. */
  | { readonly kind: 'ready'; readonly host: string }
  /** Another server than before has stored a row. `at` is of the machine's monotonic clock, which all processes share. */
  | { readonly kind: 'moved'; readonly at: number; readonly host: string }
  /** It has stopped. */
  | { readonly kind: 'stopped'; readonly stored: number; readonly failures: readonly string[] };

/** Milliseconds of the machine's monotonic clock. */
export function now(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
