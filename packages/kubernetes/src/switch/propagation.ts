import {
  DeadlineError,
  type Dependencies,
  DnsResolver,
  isExternalNameError,
  type Resolver,
  type WaitOptions,
} from '@externalname/core';
import {
  aNumber,
  aSignal,
  aText,
  checkOptions,
  dependenciesOf,
  listOf,
  optional,
  sleep,
  withDeadline,
} from '@externalname/core/internal';
import { canonicalName } from '@externalname/core/names';
import type { DnsPropagation } from './report.ts';

/** See {@link waitForPropagation}. */
export interface PropagationOptions extends WaitOptions {
  /** The Service's full name: `webscaler-db.default.svc.cluster.local`. */
  service: string;
  /** The name that DNS must answer with. */
  to: string;
  /** The servers to ask, each until it answers with the new name. */
  dnsServers: readonly string[];
  /** Milliseconds. @defaultValue 90000 */
  timeoutMillis?: number | undefined;
  /** Pause between two queries to one server. Milliseconds. @defaultValue 250 */
  intervalMillis?: number | undefined;
}

/**
 * Waits until each of the DNS servers answers the Service's name with the new target. This includes the caches of the servers, but
 * not those of the clients.
 *
 * @throws DeadlineError `ERR_EXTERNALNAME_DEADLINE`, naming the servers that did not, with their last answers
 */
export async function waitForPropagation(
  options: PropagationOptions,
  dependencies: Dependencies = {},
): Promise<DnsPropagation[]> {
  checkOptions(options, {
    service: aText,
    to: aText,
    dnsServers: listOf(aText),
    timeoutMillis: optional(aNumber({ least: 0 })),
    intervalMillis: optional(aNumber({ least: 0 })),
    signal: aSignal,
  });
  const { clock } = dependenciesOf(dependencies);
  const { service, to, dnsServers, timeoutMillis = 90_000, intervalMillis = 250, signal } = options;
  const startedAt = clock.now();
  const last = new Map<string, string>();
  const wait = async (server: string, waitSignal: AbortSignal): Promise<DnsPropagation> => {
    // No cache of our own: what the server says now is the question.
    await using resolver = new DnsResolver({ nameservers: [server], cache: false, attempts: 1 });
    for (;;) {
      const said = await firstAlias(resolver, service, waitSignal);
      if (said === canonicalName(to)) {
        last.delete(server);
        return { server, elapsedMillis: Math.round(clock.now() - startedAt) };
      }
      last.set(server, said);
      await sleep(intervalMillis, { signal: waitSignal, clock });
    }
  };
  return withDeadline((waitSignal) => Promise.all(dnsServers.map((server) => wait(server, waitSignal))), {
    signal,
    timeoutMillis,
    clock,
    onTimeout: () => {
      const behind = [...last].map(([server, said]) => `${server} says ${said}`).join(', ');
      return new DeadlineError(
        `waiting for DNS to answer ${service} with ${to} (${behind || 'no server answered'})`,
        timeoutMillis,
      );
    },
  });
}

/** The target of the name's first CNAME, or in words why there is none. */
async function firstAlias(resolver: Resolver, service: string, signal: AbortSignal): Promise<string> {
  try {
    const { chain } = await resolver.resolve(service, { fresh: true, family: 4, signal, timeoutMillis: 5_000 });
    return chain[0]?.target ?? 'that it is not an alias';
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    // The target need not resolve; the alias is what counts.
    const first =
      isExternalNameError(error) && 'chain' in error && Array.isArray(error.chain) ? error.chain[0] : undefined;
    return first?.target ?? (error instanceof Error ? error.message : String(error));
  }
}
