import type { Crew } from './crew.ts';

/** A server, as the status line names it. */
export interface NamedServer {
  readonly address: string;
  readonly hostName: string;
}

/** How the crews do at the moment: writes per second and to which server, what has failed so far, and who waits. */
export function statusLine(
  crews: readonly Pick<Crew, 'ledger' | 'settings'>[],
  servers: readonly NamedServer[],
  at: number,
): string {
  return crews.map((crew) => crewStatus(crew, servers, at)).join(' | ');
}

function crewStatus(
  { ledger, settings }: Pick<Crew, 'ledger' | 'settings'>,
  servers: readonly NamedServer[],
  at: number,
): string {
  // The newest report is up to a tenth of a second old.
  const counts = ledger.countByAddress(at - windowMillis - reportMillis, at - reportMillis);
  const rates = [...counts].map(([address, count]) => {
    const name = servers.find((server) => server.address === address)?.hostName ?? address;
    return `${count}/s to ${name.split('.')[0]}`;
  });
  const waiting = ledger.underWay.filter(({ beganAt }) => at - beganAt > waitingMillis).length;
  const name = settings.client === 'externalname' ? '' : `${settings.client}: `;
  return `${name}${rates.join(', ') || 'no writes'}, ${ledger.failed.length} failed, ${waiting} waiting`;
}

const windowMillis = 1_000;
const reportMillis = 100;
/** A write that takes longer than this is told to wait: usually one takes a few milliseconds. */
const waitingMillis = 250;
