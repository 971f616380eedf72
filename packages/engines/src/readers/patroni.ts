import { type Dependencies, InvalidArgumentError } from '@externalname/core';
import {
  aNumber,
  anything,
  aText,
  checkOptions,
  dependenciesOf,
  listOf,
  oneOf,
  optional,
  optionsOf,
  ownOptions,
  recordOf,
} from '@externalname/core/internal';
import type { KubeConfigOption } from '@externalname/kubernetes';
import { checkKubeConfig } from '@externalname/kubernetes/internal';
import { createEngine, engineShapes } from '../engine/create-engine.ts';
import { defaultTimeoutMillis, type EngineOptions, type HaEngine } from '../engine/engine.ts';
import { anHttpAccess, type HttpAccess, HttpClient, httpBase } from '../http/http-client.ts';
import { EtcdClient } from './etcd-client.ts';
import { KubernetesObjects } from './kubernetes-objects.ts';
import { PatroniEtcdReader } from './patroni-etcd.ts';
import { PatroniKubernetesReader } from './patroni-kubernetes.ts';
import { PatroniRestReader } from './patroni-rest.ts';

/** Where Patroni's etcd is. */
export interface PatroniEtcdOptions extends HttpAccess {
  /** URLs of the servers: `https://etcd-1.example.com:2379`. */
  endpoints: readonly string[];
  /** `namespace` of Patroni's configuration. @defaultValue `/service` */
  namespace?: string | undefined;
}

/** Where the objects are that Patroni keeps in Kubernetes. */
export interface PatroniKubernetesOptions {
  /** The namespace of the objects. @defaultValue that of the kubeconfig's context or of the pod, else `default` */
  namespace?: string | undefined;
  /** Where the API is, and how to log in. @defaultValue as kubectl */
  kubeConfig?: KubeConfigOption | undefined;
  /** `use_endpoints` of Patroni: operators set it. @defaultValue `configmaps` */
  objects?: 'configmaps' | 'endpoints' | undefined;
  /** REST interfaces by member, if the Pods' own (`api_url`) cannot be reached from here. @defaultValue the URLs that the Pods name */
  restApis?: Readonly<Record<string, string>> | undefined;
}

/** See {@link patroniEngine}. */
export interface PatroniEngineOptions extends EngineOptions {
  /** Name of the cluster: `scope` of Patroni's configuration. */
  scope: string;
  /** REST interfaces of all members, two or more: `http://db-1.example.com:8008`. One of `members`, `etcd` and `kubernetes` is needed. */
  members?: readonly string[] | undefined;
  /** Reads what Patroni stores in etcd, which pushes each change. */
  etcd?: PatroniEtcdOptions | undefined;
  /** Reads what Patroni stores in Kubernetes, which pushes each change. */
  kubernetes?: PatroniKubernetesOptions | undefined;
  /** How the members' REST interfaces are reached. */
  rest?: HttpAccess | undefined;
  /** How long a leader may not have seen the store of its lock, by its own word. Milliseconds, 1000 or more. @defaultValue 30000, Patroni's `ttl` */
  staleMillis?: number | undefined;
}

/**
 * Follows Patroni: by the REST interfaces of its members, by etcd, or by its objects in Kubernetes, which also serves the operators of Zalando, Crunchy,
 * Percona and StackGres.
 *
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT`, before any I/O
 *
 * @example
 * ```ts
 * const engine = patroniEngine({
 *   scope: 'webscaler',
 *   members: ['https://db-1.example.com:8008', 'https://db-2.example.com:8008'],
 *   rest: { ca },
 * });
 * ```
 */
export function patroniEngine(given: PatroniEngineOptions, dependencies: Dependencies = {}): HaEngine {
  checkOptions(given, {
    ...engineShapes,
    scope: aText,
    members: optional(listOf(aText)),
    etcd: optional(
      optionsOf<PatroniEtcdOptions>({ endpoints: listOf(aText), namespace: optional(aText), ...accessShapes }),
    ),
    kubernetes: optional(
      optionsOf<PatroniKubernetesOptions>({
        namespace: optional(aText),
        kubeConfig: anything,
        objects: optional(oneOf('configmaps', 'endpoints')),
        restApis: optional(recordOf(aText)),
      }),
    ),
    rest: anHttpAccess,
    staleMillis: optional(aNumber({ least: 1_000 })),
  });
  const { scope, members, etcd, kubernetes, rest, staleMillis, pollMillis, requestTimeoutMillis } = ownOptions(given);
  const known = dependenciesOf(dependencies);
  if (scope === '' || scope.includes('/'))
    throw new InvalidArgumentError('scope', "must be the name of the cluster, as in Patroni's configuration");
  if ([members, etcd, kubernetes].filter((way) => way !== undefined).length !== 1) {
    throw new InvalidArgumentError(
      'options',
      'needs exactly one of `members`, `etcd` and `kubernetes`: where Patroni is read',
    );
  }
  const options = { pollMillis, requestTimeoutMillis };
  const http = new HttpClient(rest);
  if (etcd !== undefined) {
    const endpoints = etcd.endpoints.map((url, index) => httpBase(`etcd.endpoints[${index}]`, url));
    if (endpoints.length === 0) throw new InvalidArgumentError('etcd.endpoints', 'must name at least one server');
    const client = new EtcdClient(endpoints, new HttpClient(etcd), etcd);
    return createEngine(new PatroniEtcdReader(scope, etcd.namespace ?? '/service', client, http), options, known);
  }
  if (kubernetes !== undefined) {
    checkKubeConfig(kubernetes.kubeConfig);
    const { kubeConfig, namespace, objects = 'configmaps' } = kubernetes;
    const restApis = Object.fromEntries(
      Object.entries(kubernetes.restApis ?? {}).map(([member, url]) => [
        member,
        httpBase(`kubernetes.restApis.${member}`, url),
      ]),
    );
    const place = { kubeConfig, namespace, timeoutMillis: requestTimeoutMillis ?? defaultTimeoutMillis };
    const reader = new PatroniKubernetesReader(
      { scope, objects, restApis },
      new KubernetesObjects(place, known),
      http,
      known.clock,
    );
    return createEngine(reader, options, known);
  }
  const bases = (members ?? []).map((url, index) => httpBase(`members[${index}]`, url));
  if (new Set(bases).size < 2) {
    throw new InvalidArgumentError(
      'members',
      'must name two members or more: one alone cannot say what happened when it does not answer',
    );
  }
  return createEngine(new PatroniRestReader(scope, bases, http, staleMillis ?? 30_000, options), options, known);
}

const text = optional(aText);
const accessShapes = { ca: text, cert: text, key: text, servername: text, username: text, password: text };
