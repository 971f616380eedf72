import { isText, record } from '@externalname/kubernetes/internal';
import type { MemberWord } from '../engine/engine.ts';
import type { HttpClient } from '../http/http-client.ts';

/** Where a member answers. */
export interface PatroniPlace {
  readonly base: string;
  /** Whether the caller named it. A URL from the store gets no password. */
  readonly isGiven: boolean;
}

/** What a member of Patroni says of itself at `/primary`. */
export interface PatroniWord {
  /** Its name; undefined if the answer is not Patroni's. */
  readonly name: string | undefined;
  readonly scope: string | undefined;
  /** It holds the leader lock, and its server runs. It may still be promoted. */
  readonly holdsLock: boolean;
  /** It holds the leader lock, and its server is a primary. */
  readonly leads: boolean;
  /** `running`, `stopping`, ... */
  readonly state: string;
  readonly role: string;
  readonly timeline: number | undefined;
  readonly systemIdentifier: string | undefined;
  readonly isPaused: boolean;
  /** No member holds the lock, as far as it knows. */
  readonly isUnlocked: boolean;
  /** How long it has not seen what keeps the lock, by its own clock. */
  readonly unseenMillis: number | undefined;
}

/**
 * Asks a member itself. `/primary` answers 200 as soon as the member holds the lock, while its server may still be promoted, so the role is looked at,
 * too. The body is the same with 503. Source: Patroni documentation, "Patroni REST API", monitoring endpoint.
 */
export async function askPatroni(
  http: HttpClient,
  { base, isGiven }: PatroniPlace,
  signal: AbortSignal,
): Promise<PatroniWord> {
  // An account that may write to the store could name any URL there.
  const authorization = isGiven ? http.basicAuthorization : undefined;
  const { status, body, date } = await http.json(`${base}/primary`, {
    signal,
    ...(authorization !== undefined && { headers: { Authorization: authorization } }),
  });
  const said = record(body);
  const { name, scope } = record(said['patroni']);
  const [role, state, timeline, seen] = [said['role'], said['state'], said['timeline'], said['dcs_last_seen']];
  const holdsLock = status === 200 && state === 'running';
  return {
    name: isText(name) ? name : undefined,
    scope: isText(scope) ? scope : undefined,
    holdsLock,
    leads: holdsLock && (role === 'primary' || role === 'master'),
    state: isText(state) ? state : 'unknown',
    role: isText(role) ? role : 'unknown',
    timeline: typeof timeline === 'number' ? timeline : undefined,
    systemIdentifier: isText(said['database_system_identifier']) ? said['database_system_identifier'] : undefined,
    isPaused: said['pause'] === true,
    isUnlocked: said['cluster_unlocked'] === true,
    unseenMillis: typeof seen === 'number' && date !== undefined ? Math.max(0, date - seen * 1000) : undefined,
  };
}

/** The word of a member, as the contract wants it. */
export function memberWord(member: string, scope: string, word: PatroniWord): MemberWord {
  const { timeline, systemIdentifier } = word;
  const problem =
    word.name !== member || word.scope !== scope
      ? `there answers ${word.name ?? 'something other than Patroni'} of ${word.scope ?? 'no scope'}`
      : word.isPaused
        ? 'it says that the cluster is paused'
        : word.isUnlocked
          ? 'it says that no member holds the lock'
          : word.leads
            ? undefined
            : `it says that it is ${word.role}, ${word.state}`;
  return {
    leads: problem === undefined,
    detail: `${member}: ${problem ?? 'it holds the lock, as a primary'}`,
    timeline,
    systemIdentifier,
  };
}
