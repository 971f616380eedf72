import { type Dependencies, InvalidArgumentError } from '@externalname/core';
import {
  anything,
  aText,
  checkOptions,
  dependenciesOf,
  optional,
  optionsOf,
  ownOptions,
  recordOf,
} from '@externalname/core/internal';
import type { KubeConfigOption } from '@externalname/kubernetes';
import { checkKubeConfig } from '@externalname/kubernetes/internal';
import { createEngine, engineShapes } from '../engine/create-engine.ts';
import { defaultTimeoutMillis, type EngineOptions, type HaEngine } from '../engine/engine.ts';
import { CnpgReader } from './cnpg-reader.ts';
import { KubernetesObjects, kindOf } from './kubernetes-objects.ts';

/** One Cluster of CloudNativePG. */
export interface CnpgCluster {
  /** `metadata.name` of the Cluster. */
  cluster: string;
  /** Its namespace. @defaultValue that of the kubeconfig's context or of the pod, else `default` */
  namespace?: string | undefined;
  /** Where the API of its Kubernetes cluster is, and how to log in. @defaultValue as kubectl */
  kubeConfig?: KubeConfigOption | undefined;
}

/** See {@link cnpgEngine}. */
export interface CnpgEngineOptions extends EngineOptions, Partial<CnpgCluster> {
  /**
   * The Clusters of a distributed topology, by the name that each has in it (`spec.replica.self`). The members are then these Clusters; with `cluster`
   * they are the instances of that one.
   */
  clusters?: Readonly<Record<string, CnpgCluster>> | undefined;
}

/**
 * Follows CloudNativePG by the status of its Cluster, or across Kubernetes clusters by `spec.replica` and its tokens. The operator needs no change.
 *
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT`, before any I/O
 *
 * @example
 * ```ts
 * const engine = cnpgEngine({
 *   clusters: {
 *     east: { cluster: 'webscaler', namespace: 'db', kubeConfig: '/etc/clusters/east.yaml' },
 *     west: { cluster: 'webscaler', namespace: 'db', kubeConfig: '/etc/clusters/west.yaml' },
 *   },
 * });
 * ```
 */
export function cnpgEngine(given: CnpgEngineOptions, dependencies: Dependencies = {}): HaEngine {
  const one = { cluster: aText, namespace: optional(aText), kubeConfig: anything };
  checkOptions(given, {
    ...engineShapes,
    ...one,
    cluster: optional(aText),
    clusters: optional(recordOf(optionsOf<CnpgCluster>(one))),
  });
  const { cluster, namespace, kubeConfig, clusters, pollMillis, requestTimeoutMillis } = ownOptions(given);
  const known = dependenciesOf(dependencies);
  if ((cluster === undefined) === (clusters === undefined)) {
    throw new InvalidArgumentError(
      'options',
      'needs exactly one of `cluster` and `clusters`: a Cluster, or those of a distributed topology',
    );
  }
  const named =
    cluster === undefined ? Object.entries(clusters ?? {}) : [[cluster, { cluster, namespace, kubeConfig }] as const];
  if (clusters !== undefined && named.length < 2) {
    throw new InvalidArgumentError('clusters', 'must name two Clusters or more: give a single one as `cluster`');
  }
  const watched = named.map(([member, place]) => {
    checkKubeConfig(place.kubeConfig);
    if (place.cluster === '') throw new InvalidArgumentError('cluster', 'must not be empty');
    const objects = new KubernetesObjects(
      {
        kubeConfig: place.kubeConfig,
        namespace: place.namespace,
        timeoutMillis: (requestTimeoutMillis ?? defaultTimeoutMillis) / 2,
      },
      known,
    );
    return { member, objects, object: { kind: clusterKind, name: place.cluster } };
  });
  return createEngine(new CnpgReader(watched, clusters !== undefined), { pollMillis, requestTimeoutMillis }, known);
}

const clusterKind = kindOf('postgresql.cnpg.io', 'v1', 'clusters');
