import { DnsResolver, InvalidArgumentError, parseServiceReference } from '@externalname/core';
import { onAbort } from '@externalname/core/internal';
import { parseHostName } from '@externalname/core/names';
import { kubernetesSource } from '@externalname/kubernetes';
import { chosenCluster, clusterOptions } from '../cluster.ts';
import { choice, command, text, texts } from '../command.ts';
import { duration } from '../duration.ts';
import { exitCodes } from '../exit-codes.ts';
import { Live } from '../live.ts';
import { dnsSource, lookAtServer, lookAtSource } from '../watching/look.ts';
import { type Sight, Sights } from '../watching/sights.ts';
import { writeSight } from '../watching/write-sight.ts';

/** `watch`: what each source sees of a Service, as it changes. */
export const watchCommand = command({
  arguments: [
    { name: '<service>', summary: 'the Service: webscaler-db, or webscaler-db.namespace', complete: 'services' },
  ],
  about:
    'Shows where the Service points by a watch of the Kubernetes API and by each DNS server, a line for each change, until Ctrl-C. On a ' +
    'terminal, the last lines show how each of them looks at the moment.',
  options: {
    nameserver: texts(
      '-s, --nameserver <address>',
      'DNS server to ask, address[:port]; repeatable; default: those of resolv.conf',
    ),
    until: text('--until <host>', 'end as soon as all of them see this host'),
    for: duration('--for <time>', 'end after this time; with --until the exit status is then 1', {
      least: 1,
      most: 86_400_000,
    }),
    interval: duration('--interval <time>', 'pause between two questions to a DNS server; default: 1s', {
      least: 50,
      most: 3_600_000,
    }),
    ...clusterOptions,
    output: choice('-o, --output <format>', 'how it is written, json with one object a line', ['text', 'json']),
  },
  examples: [
    { command: 'watch webscaler-db', does: 'who sees what, until Ctrl-C' },
    {
      command: 'watch webscaler-db -s 10.244.0.3 -s 10.244.1.7 --until secondary-db.example.com --for 60s',
      does: 'wait until both pods of the cluster DNS answer with the new name',
    },
  ],
  async run({ arguments: [service = ''], options, output, environment, signal }) {
    const cluster = await chosenCluster(options, environment);
    const { kubeConfig, clusterDomain } = cluster;
    const namespace = cluster.namespace ?? kubeConfig.getContextObject(kubeConfig.getCurrentContext())?.namespace;
    const until = options.until === undefined ? undefined : parseHostName(options.until, '--until');
    const servers = options.nameserver.length > 0 ? options.nameserver : await ownServers();
    const { fullName } = parseServiceReference(service, { namespace, clusterDomain });
    const sights = new Sights(['kubernetes', ...servers.map(dnsSource)]);
    const live = new Live(output);
    const ending = new AbortController();
    let reached = false;
    const see = (sight: Sight) => {
      if (ending.signal.aborted) return;
      if (sights.take(sight)) {
        const tone = sight.error !== undefined || sight.stale === true ? 'bad' : 'plain';
        if (output.isText) writeSight(output, live, sights.line(sight), tone);
        else output.line(JSON.stringify(sight));
      }
      if (output.isText) live.rows(sights.rows(new Date()));
      reached = until !== undefined && sights.all(until);
      if (reached) ending.abort(new Ended());
    };
    const stop = onAbort(signal, () => ending.abort(signal.reason));
    const timer = options.for === undefined ? undefined : setTimeout(() => ending.abort(new Ended()), options.for);
    await using source = kubernetesSource({ service, namespace, clusterDomain, kubeConfig });
    const looking = { see, everyMillis: options.interval ?? 1_000, signal: ending.signal };
    try {
      signal.throwIfAborted();
      await Promise.all([
        lookAtSource(source, looking),
        ...servers.map((server) => lookAtServer(server, fullName, looking)),
      ]);
    } catch (error) {
      if (!(error instanceof Ended)) throw error;
    } finally {
      clearTimeout(timer);
      stop();
      ending.abort(new Ended());
      live.end();
    }
    return until === undefined || reached ? exitCodes.ok : exitCodes.failed;
  },
});

async function ownServers(): Promise<readonly string[]> {
  await using resolver = new DnsResolver();
  const servers = resolver.nameservers;
  if (servers.length > 0) return servers;
  throw new InvalidArgumentError('--nameserver', 'must be given, because resolv.conf names no DNS server');
}

/** The watch is over because it was asked to end there. */
class Ended extends Error {}
