import {
  DnsResolver,
  InvalidArgumentError,
  isExternalNameError,
  parseServiceReference,
  type Target,
  type TargetSource,
  type WaitOptions,
} from '@externalname/core';
import {
  aFunction,
  aNumber,
  anything,
  aSignal,
  aText,
  checkOptions,
  onAbort,
  optional,
  ownOptions,
  printable,
  sleep,
} from '@externalname/core/internal';
import { parseHostName } from '@externalname/core/names';
import { type KubeConfigOption, kubernetesSource, loadKubeConfig } from '@externalname/kubernetes';
import { checkKubeConfig } from '@externalname/kubernetes/internal';
import { checkNameservers, findNameservers, type NameserverOptions, nameserverShapes } from '../names/nameservers.ts';
import { type Sight, type SightedSource, Sights } from './sights.ts';

/** See {@link watchService}. */
export interface WatchServiceOptions extends NameserverOptions, WaitOptions {
  /** `webscaler-db`, or with its namespace: `webscaler-db.default`. */
  service: string;
  /** Completes a short name. @defaultValue that of the kubeconfig's context, else `default` */
  namespace?: string | undefined;
  /** The cluster's domain. @defaultValue the one in `service`, else that of the pod, else `cluster.local` */
  clusterDomain?: string | undefined;
  /** Where the API is, and how to log in. @defaultValue as kubectl */
  kubeConfig?: KubeConfigOption | undefined;
  /** Called with each look of a source, whether it differs from the one before, and how all sources look then. */
  onSight: (sight: Sight, differs: boolean, sources: readonly SightedSource[]) => void;
  /** End as soon as every source sees this host, and none doubts it. @defaultValue the signal ends it */
  until?: string | undefined;
  /** Pause between two questions to a DNS server. Milliseconds, 50 to 3600000. @defaultValue 1000 */
  intervalMillis?: number | undefined;
  /** Ends the watch. */
  signal: AbortSignal;
}

/**
 * Tells where a Service points as each source sees it: a watch of the Kubernetes API, and each DNS server by itself. Resolves when all
 * see the host of `until`; otherwise it goes on until the signal fires, and rejects with its reason. A source that fails is told as a
 * sight with an `error`, and asked again.
 *
 * @throws KubernetesConfigError `ERR_EXTERNALNAME_KUBERNETES_CONFIG`
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT`
 *
 * @example
 * ```ts
 * await watchService({
 *   service: 'webscaler-db',
 *   until: 'secondary-db.example.com',
 *   signal: AbortSignal.timeout(60_000),
 *   onSight: ({ source, target, error }, differs) => differs && console.log(source, target ?? error),
 * });
 * ```
 */
export async function watchService(given: WatchServiceOptions): Promise<void> {
  const options = ownOptions(given);
  checkOptions<object>(options, {
    ...nameserverShapes,
    service: aText,
    namespace: optional(aText),
    clusterDomain: optional(aText),
    kubeConfig: anything,
    onSight: aFunction,
    until: optional(aText),
    intervalMillis: optional(aNumber({ least: 50, most: 3_600_000 })),
    signal: aSignal,
  });
  checkKubeConfig(options.kubeConfig);
  checkNameservers(options);
  const { service, clusterDomain, onSight, intervalMillis = 1_000, signal } = options;
  if (signal === undefined) throw new InvalidArgumentError('signal', 'must be given: it ends the watch');
  const until = options.until === undefined ? undefined : parseHostName(options.until, 'until');
  parseServiceReference(service, { namespace: options.namespace, clusterDomain });
  signal.throwIfAborted();
  const { servers } = await findNameservers(options);
  const kubeConfig =
    typeof options.kubeConfig === 'object' ? options.kubeConfig : await loadKubeConfig({ file: options.kubeConfig });
  const namespace = options.namespace ?? kubeConfig.getContextObject(kubeConfig.getCurrentContext())?.namespace;
  const { fullName } = parseServiceReference(service, { namespace, clusterDomain });
  signal.throwIfAborted();
  const sights = new Sights(['kubernetes', ...servers.map(dnsSource)]);
  const ending = new AbortController();
  const see = (sight: Sight) => {
    if (ending.signal.aborted) return;
    onSight(sight, sights.take(sight), sights.sources());
    if (until !== undefined && sights.all(until)) ending.abort(reached);
  };
  const stop = onAbort(signal, () => ending.abort(signal.reason));
  await using source = kubernetesSource({ service, namespace, clusterDomain, kubeConfig });
  const looking = { see, everyMillis: intervalMillis, signal: ending.signal };
  try {
    await Promise.all([
      lookAtSource(source, looking),
      ...servers.map((server) => lookAtServer(server, fullName, looking)),
    ]);
  } catch (error) {
    if (error !== reached) throw error;
  } finally {
    stop();
    // If one of them failed for good, the others end with it.
    ending.abort(reached);
  }
}

/** The reason of a watch that is over because all see what they shall. */
const reached = new Error('every source sees the host');

/** Tells what a source sees, again and again, until the signal fires. */
interface Looking {
  readonly see: (sight: Sight) => void;
  readonly everyMillis: number;
  readonly signal: AbortSignal;
}

/** Looks at a watch of the Kubernetes API: at once when it tells of a change, and now and then whether it is still confirmed. */
async function lookAtSource(source: TargetSource, { see, everyMillis, signal }: Looking): Promise<void> {
  const sightOf = ({ externalName, stale }: Target): Sight => ({
    source: 'kubernetes',
    at: new Date(),
    target: externalName,
    stale,
  });
  const unsubscribe = source.subscribe((target) => see(sightOf(target)));
  try {
    for (;;) {
      try {
        see(sightOf(await source.current({ signal })));
      } catch (error) {
        signal.throwIfAborted();
        see({ source: 'kubernetes', at: new Date(), error: reasonOf(error) });
      }
      await sleep(everyMillis, { signal });
    }
  } finally {
    unsubscribe();
  }
}

/** Asks one DNS server for the Service's name. Nothing is kept in between: what the server says at that moment is the question. */
async function lookAtServer(server: string, name: string, { see, everyMillis, signal }: Looking): Promise<void> {
  await using resolver = new DnsResolver({ nameservers: [server], cache: false, attempts: 1 });
  for (;;) {
    const beganAt = performance.now();
    const seen = await answerOf(resolver, name, signal);
    see({ source: dnsSource(server), at: new Date(), elapsedMillis: performance.now() - beganAt, ...seen });
    await sleep(everyMillis, { signal });
  }
}

/** What the sights of a DNS server are called. */
function dnsSource(server: string): string {
  return `dns ${server.replace(/:53$/, '')}`;
}

type Answer = Pick<Sight, 'target' | 'addresses' | 'ttlSeconds' | 'error'>;

async function answerOf(resolver: DnsResolver, name: string, signal: AbortSignal): Promise<Answer> {
  try {
    const { chain, addresses } = await resolver.resolve(name, { fresh: true, signal, timeoutMillis: answerMillis });
    const [first] = chain;
    return {
      target: first?.target,
      addresses: addresses.map(({ address }) => address).sort(),
      ttlSeconds: first?.ttlSeconds,
      ...(first === undefined && { error: 'an address, but no other name: it is not of type ExternalName' }),
    };
  } catch (error) {
    signal.throwIfAborted();
    // The alias may be there, although the host that it names has no address.
    const chain: unknown = isExternalNameError(error) && 'chain' in error ? error.chain : undefined;
    const [first] = Array.isArray(chain) ? chain : [];
    return { target: first?.target, ttlSeconds: first?.ttlSeconds, error: reasonOf(error) };
  }
}

function reasonOf(error: unknown): string {
  return printable(error instanceof Error ? error.message : String(error), 300);
}

const answerMillis = 3_000;
