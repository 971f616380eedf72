import { isText, record } from '@externalname/kubernetes/internal';

/** A JSON object that Patroni stored; empty if it is none. */
export function parsedConfig(text: string | undefined): Readonly<Record<string, unknown>> {
  try {
    return record(JSON.parse(text ?? '{}'));
  } catch {
    return {};
  }
}

/** When the leader took over: the last line of the history, if it names this leader. Source: Patroni documentation, `/history`. */
export function sinceOf(history: string | undefined, leader: string): string | undefined {
  try {
    const lines: unknown = JSON.parse(history ?? '[]');
    const last: unknown = Array.isArray(lines) ? lines.at(-1) : undefined;
    const [, , , at, who] = Array.isArray(last) ? last : [];
    return isText(at) && who === leader ? at : undefined;
  } catch {
    return undefined;
  }
}
