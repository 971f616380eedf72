import { InvalidArgumentError, type WaitOptions } from '@externalname/core';
import {
  allowedTargetsFrom,
  aNumber,
  anything,
  aSignal,
  aText,
  checkOptions,
  either,
  listOf,
  oneOf,
  optional,
  optionsOf,
  ownOptions,
  recordOf,
} from '@externalname/core/internal';
import type { KubeConfigOption } from '@externalname/kubernetes';
import { checkKubeConfig } from '@externalname/kubernetes/internal';
import type { Protocol } from '../facts/facts.ts';
import type { PostgresLogin } from '../facts/gather.ts';
import { checkNameservers, type NameserverOptions, nameserverShapes } from '../names/nameservers.ts';

/** See {@link diagnose}. */
export interface DiagnoseOptions extends NameserverOptions, WaitOptions {
  /** `webscaler-db`, or with its namespace: `webscaler-db.default`. */
  service: string;
  /** Completes a short name. @defaultValue that of the kubeconfig's context or of the pod, else `default` */
  namespace?: string | undefined;
  /** The cluster's domain. @defaultValue the one in `service`, else that of resolv.conf in a pod, else `cluster.local` */
  clusterDomain?: string | undefined;
  /** Where the API is, and how to log in. @defaultValue as kubectl */
  kubeConfig?: KubeConfigOption | undefined;
  /** Which file and context kubectl would be told, in place of `kubeConfig`. The commands of findings name them as well. */
  kubectl?: KubectlOptions | undefined;
  /** The hosts that the Service may point to, or `any`. Nothing is logged in to without. @defaultValue EXTERNALNAME_ALLOWED_TARGETS */
  allowedTargets?: readonly string[] | 'any' | undefined;
  /** Networks that the addresses must be in, or `any`. @defaultValue all but loopback, link-local and metadata addresses */
  allowedNetworks?: readonly string[] | 'any' | undefined;
  /** What is spoken on the port: `postgres`, `tls`, `https` or `tcp`. @defaultValue `postgres` */
  protocol?: Protocol | undefined;
  /** Port of the target, 1 to 65535. @defaultValue 5432 for `postgres`, else 443 */
  port?: number | undefined;
  /** Path of the one HEAD request of `https`. @defaultValue `/` */
  path?: string | undefined;
  /** PEM certificates to trust. @defaultValue the ones that Node.js trusts */
  ca?: string | undefined;
  /** How to log in to PostgreSQL. @defaultValue no login */
  login?: PostgresLogin | undefined;
  /** What the PostgreSQL server should be: `primary`, `standby` or `any`. @defaultValue `primary` */
  role?: 'primary' | 'standby' | 'any' | undefined;
  /** Longest time for one check. Milliseconds, 1 to 300000. @defaultValue 5000 */
  timeoutMillis?: number | undefined;
  /** The program that commands of findings call. @defaultValue `externalname` */
  program?: string | undefined;
  /** Where `EXTERNALNAME_ALLOWED_TARGETS` and `KUBECONFIG` are read. @defaultValue `process.env` */
  environment?: Readonly<Record<string, string | undefined>> | undefined;
}

/** See {@link DiagnoseOptions.kubectl}. */
export interface KubectlOptions {
  /** As `--kubeconfig`: a file. @defaultValue the files that `KUBECONFIG` lists, else `~/.kube/config` */
  kubeconfig?: string | undefined;
  /** As `--context`. @defaultValue the current-context */
  context?: string | undefined;
}

/** {@link DiagnoseOptions}, checked and complete. */
export type DiagnoseSettings = ReturnType<typeof diagnoseSettings>;

/** @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT`, before any I/O */
export function diagnoseSettings(given: DiagnoseOptions) {
  const options = ownOptions(given);
  const words = either(oneOf('any'), listOf(aText));
  checkOptions<DiagnoseOptions>(options, {
    ...nameserverShapes,
    service: aText,
    namespace: optional(aText),
    clusterDomain: optional(aText),
    kubeConfig: anything,
    kubectl: optional(optionsOf<KubectlOptions>({ kubeconfig: optional(aText), context: optional(aText) })),
    allowedTargets: optional(words),
    allowedNetworks: optional(words),
    protocol: optional(oneOf('postgres', 'tls', 'https', 'tcp')),
    port: optional(aNumber({ least: 1, most: 65_535, whole: true })),
    path: optional(aText),
    ca: optional(aText),
    login: optional(optionsOf<PostgresLogin>({ user: aText, database: optional(aText), password: optional(aText) })),
    role: optional(oneOf('primary', 'standby', 'any')),
    timeoutMillis: optional(aNumber({ least: 1, most: 300_000 })),
    program: optional(aText),
    environment: optional(recordOf(optional(aText))),
    signal: aSignal,
  });
  checkKubeConfig(options.kubeConfig);
  checkNameservers(options);
  if (options.kubeConfig !== undefined && options.kubectl !== undefined)
    throw new InvalidArgumentError('kubectl', 'cannot be given with kubeConfig: give one of them');
  const { protocol = 'postgres', environment = process.env, allowedTargets, path = '/' } = options;
  if (!path.startsWith('/')) throw new InvalidArgumentError('path', `must begin with /, got ${JSON.stringify(path)}`);
  return {
    ...options,
    environment,
    allowedTargets: allowedTargets ?? allowedTargetsFrom({ ...environment }),
    allowedFrom: allowedTargets === undefined ? ('environment' as const) : ('option' as const),
    protocol,
    port: options.port ?? (protocol === 'postgres' ? 5432 : 443),
    path,
    role: options.role ?? ('primary' as const),
    timeoutMillis: options.timeoutMillis ?? 5_000,
    program: options.program ?? 'externalname',
  };
}
