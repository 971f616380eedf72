import type { WriteLedger } from '@externalname/testing';
import type { StatusRow } from './timeline.ts';

/** A server, as the status names it. */
export interface NamedServer {
  readonly address: string;
  readonly hostName: string;
}

/** A crew, as the status shows it. */
export interface WatchedCrew {
  readonly settings: { readonly title: string };
  readonly ledger: WriteLedger;
}

/** How the crews do at the moment: what has failed so far, who waits, and writes a second and to which server. */
export function statusRows(
  crews: readonly WatchedCrew[],
  servers: readonly NamedServer[],
  at: number,
): readonly StatusRow[] {
  return crews.map((crew) => ({ who: crew.settings.title, text: crewStatus(crew, servers, at) }));
}

/** The first label of a host name, which is enough where there are two. */
export function shortName(hostName: string): string {
  return hostName.split('.')[0] ?? hostName;
}

function crewStatus({ ledger }: WatchedCrew, servers: readonly NamedServer[], at: number): string {
  // The newest report is up to a tenth of a second old.
  const counts = ledger.countByAddress(at - windowMillis - reportMillis, at - reportMillis);
  const rates = [...counts].map(([address, count]) => {
    const name = servers.find((server) => server.address === address)?.hostName ?? address;
    return `${String(count).padStart(4)}/s to ${shortName(name)}`;
  });
  const waiting = ledger.underWay.filter(({ beganAt }) => at - beganAt > waitingMillis).length;
  const failed = String(ledger.failed.length).padStart(4);
  return `${failed} failed  ${String(waiting).padStart(2)} waiting  ${rates.join(', ') || '   no writes'}`;
}

const windowMillis = 1_000;
const reportMillis = 100;
/** A write that takes longer than this is told to wait: usually one takes a few milliseconds. */
const waitingMillis = 250;
