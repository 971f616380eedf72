import type { ListeningClientLike } from '../../src/index.ts';

type Row = Record<string, unknown>;

/** Clients whose answers a test scripts; how many are open is counted. */
export class ScriptedClients {
  readonly #answer: (host: string, query: string) => Row[];
  readonly #notified = new Set<() => void>();
  readonly #failing = new Set<(error: Error) => void>();
  /** Awaited before a query is answered. */
  gate: ((host: string, query: string) => Promise<void> | undefined) | undefined;
  /** Hosts that refuse connections. */
  readonly down = new Set<string>();
  open = 0;
  /** The hosts of all sessions, in the order in which they were opened. */
  readonly opened: string[] = [];

  constructor(answer: (host: string, query: string) => Row[]) {
    this.#answer = answer;
  }

  readonly client = (host: string): ListeningClientLike => {
    let isOpen = false;
    const check = () => {
      if (this.down.has(host)) throw new Error(`connect ECONNREFUSED ${host}`);
    };
    return {
      connect: async () => {
        check();
        isOpen = true;
        this.open += 1;
        this.opened.push(host);
      },
      query: async (text) => {
        check();
        await this.gate?.(host, text);
        return { rows: this.#answer(host, text) };
      },
      end: async () => {
        if (isOpen) this.open -= 1;
        isOpen = false;
      },
      on: (event, listener) => {
        if (event === 'notification') this.#notified.add(listener as () => void);
        else this.#failing.add(listener);
      },
    };
  };

  notify(): void {
    for (const listener of this.#notified) listener();
  }

  /** Ends all connections, as a server that dies. */
  break(...hosts: string[]): void {
    for (const host of hosts) this.down.add(host);
    for (const listener of [...this.#failing]) listener(new Error('Connection terminated unexpectedly'));
  }
}

/** A server, as its probes see it. */
export interface ScriptedPostgres {
  inRecovery: boolean;
  readOnly: boolean;
  timeline: number;
  system: string;
  /** Whether it has a transaction id. @defaultValue as PostgreSQL: if it is neither a standby nor read-only */
  assignsIds?: boolean;
  /** Answers nothing. */
  isSilent?: boolean;
}

/** The answers to what the confirmation and `postgresProbe` ask. */
export function answersOf(
  { inRecovery, readOnly, timeline, system, assignsIds = !inRecovery && !readOnly }: ScriptedPostgres,
  query: string,
): Row[] {
  if (query.includes('txid_current'))
    return [{ in_recovery: inRecovery, read_only: readOnly, xid: assignsIds ? '700' : null }];
  if (query.includes('takes_writes')) {
    return [
      { takes_writes: !inRecovery && !readOnly, timeline: inRecovery ? null : timeline, system_identifier: system },
    ];
  }
  if (query.includes('in_recovery'))
    return [{ in_recovery: inRecovery, read_only: readOnly ? 'on' : 'off', replay_delay: null }];
  if (query.includes('as timeline')) return [{ timeline, system_identifier: system }];
  if (query.includes('pg_control_system')) return [{ value: system }];
  if (query.includes('lsn_diff')) return [{ value: '1000' }];
  if (query.includes('timeline') || query.includes('walfile')) return [{ value: String(timeline) }];
  return [];
}
