/**
 * The server processes that a statement signals by their number, as `select pg_cancel_backend(123)` does, as a literal or a
 * parameter. Empty if it signals nothing, or if it takes the numbers from the server that it is sent to, as
 * `select pg_terminate_backend(pid) from pg_stat_activity` does: those belong to that server anyway.
 *
 * Source: PostgreSQL documentation, "Server Signaling Functions".
 */
export function signalledProcesses(query: unknown, values: unknown): readonly number[] {
  const { text, parameters } = readQuery(query, values);
  if (text === undefined) return [];
  const found = new Set<number>();
  for (const [, plain, quoted, parameter] of text.matchAll(signal)) {
    const written = plain ?? quoted ?? parameters[Number(parameter) - 1];
    const processId = Number(written);
    if (written !== null && Number.isInteger(processId)) found.add(processId);
  }
  return [...found];
}

function readQuery(query: unknown, values: unknown): { text: string | undefined; parameters: readonly unknown[] } {
  const config = (typeof query === 'string' ? { text: query } : (query ?? {})) as { text?: unknown; values?: unknown };
  const parameters = Array.isArray(values) ? values : config.values;
  return {
    text: typeof config.text === 'string' ? config.text : undefined,
    parameters: Array.isArray(parameters) ? parameters : [],
  };
}

// The number, as a literal, quoted or as a parameter, with a cast before or after it.
const signal =
  /\bpg_(?:cancel|terminate)_backend"?\s*\(\s*(?:pid\s*(?:=>|:=)\s*)?(?:cast\s*\(\s*)?(?:(\d+)|'\s*(\d+)\s*'|\$(\d+))\s*(?:::|as\b|[,)])/gi;
