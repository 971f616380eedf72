import { externalNameService } from '@externalname/core/manifests';
import { LocalCluster, PostgresPair, type PostgresPairOptions } from '@externalname/testing';
import { Network } from './network/network.ts';
import { grantReading, namespace, service, startWebscalerSite } from './network/webscaler-site.ts';
import type { Follow } from './writer-messages.ts';
import type { Launch } from './writers.ts';

/** Where the scenario plays: its servers, and where its workers are started. */
export interface Place extends AsyncDisposable {
  readonly pair: PostgresPair;
  readonly cluster: LocalCluster;
  readonly follow: Follow;
  /** Left out: on this machine. */
  readonly launch?: Launch | undefined;
}

/** See {@link placeOnThisMachine}. */
export interface PlaceOptions {
  readonly pair: PostgresPairOptions;
  readonly ttlSeconds: number;
  /** Whether the workers get a token with which they may read and watch the Service. */
  readonly push: boolean;
}

/** Servers on loopback addresses, workers beside them. */
export async function placeOnThisMachine({ pair: pairOptions, ttlSeconds, push }: PlaceOptions): Promise<Place> {
  const pair = await PostgresPair.start(pairOptions);
  try {
    const cluster = await LocalCluster.start({
      ttlSeconds,
      services: [externalNameService({ name: service, namespace, externalName: pair.primary.hostName })],
      hosts: pair.hosts,
    });
    const kubeConfig = push ? await cluster.writeKubeconfig(await grantReading(cluster)) : undefined;
    return {
      pair,
      cluster,
      follow: { nameserver: cluster.nameserver, kubeConfig },
      [Symbol.asyncDispose]: async () => {
        await cluster.close();
        await pair.close();
      },
    };
  } catch (error) {
    await pair.close();
    throw error;
  }
}

/** Servers in the site, workers in a pod. */
export async function placeAcrossMachines({ pair: pairOptions, ttlSeconds, push }: PlaceOptions): Promise<Place> {
  const network = await Network.open();
  try {
    const site = await startWebscalerSite(network, { ttlSeconds, pair: pairOptions });
    const pod = await site.pod();
    return {
      pair: site.pair,
      cluster: site.cluster,
      follow: { nameserver: undefined, push },
      launch: (program) => pod.fork(program),
      [Symbol.asyncDispose]: async () => {
        await site[Symbol.asyncDispose]();
        await network[Symbol.asyncDispose]();
      },
    };
  } catch (error) {
    await network[Symbol.asyncDispose]();
    throw error;
  }
}
