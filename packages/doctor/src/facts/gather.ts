import { createTargetPolicy, DeadlineError, type TargetPolicy, tlsIdentity } from '@externalname/core';
import { searchCandidates } from '@externalname/core/dns';
import { printable, withDeadline } from '@externalname/core/internal';
import { isWithin } from '@externalname/core/names';
import { looksLikeAddress, type TargetName, targetOfChain } from '@externalname/core/targets';
import { validate } from '@externalname/core/validation';
import {
  inspectPostgres,
  inspectService,
  inspectTls,
  type KubeConfigLike,
  listServices,
  reviewAccess,
  tcpProbe,
} from '@externalname/kubernetes';
import { askNameserver } from '../names/name-answer.ts';
import type { Nameservers } from '../names/nameservers.ts';
import type {
  AccessFacts,
  Asked,
  DnsFacts,
  EndpointFacts,
  Facts,
  Failed,
  HttpFacts,
  PolicyFacts,
  ServiceFacts,
  TlsFacts,
} from './facts.ts';

/** See {@link gather}. */
export interface GatherSettings {
  readonly asked: Asked;
  /** Undefined, with the reason, if none is configured. */
  readonly kubeConfig: KubeConfigLike | Failed;
  readonly nameservers: Nameservers;
  readonly allowedTargets: PolicyFacts['allowedTargets'];
  readonly allowedFrom: PolicyFacts['from'];
  readonly allowedNetworks: readonly string[] | 'any' | undefined;
  readonly ca: string | undefined;
  readonly login: PostgresLogin | undefined;
  /** The path of the HTTPS request. */
  readonly path: string;
  readonly timeoutMillis: number;
  readonly signal: AbortSignal | undefined;
}

/** How to log in to PostgreSQL. */
export interface PostgresLogin {
  /** The role. */
  user: string;
  /** The database. @defaultValue the name of the role */
  database?: string | undefined;
  /** It is sent only to an allowed target that has proven its name. @defaultValue what `pg` finds in `~/.pgpass` */
  password?: string | undefined;
}

/**
 * Finds everything out, in an order in which each step needs the one before: the Service, its target, what DNS says, and each address of
 * it. Nothing is judged here, and nothing is changed. The password is sent only to an allowed target that has proven its name.
 */
export async function gather(options: GatherSettings): Promise<Facts> {
  const { kubeConfig, asked, signal } = options;
  const [service, access] =
    'kind' in kubeConfig
      ? [kubeConfig, kubeConfig]
      : await Promise.all([gatherService(options, kubeConfig), gatherAccess(options, kubeConfig)]);
  signal?.throwIfAborted();
  const { dns, target } = await gatherNames(options, service);
  const policy = policyOf(options);
  const refusal = target && refusalOf(() => policy.checkTarget(target));
  const endpoints =
    target === undefined || refusal !== undefined || looksLikeAddress(target.externalName)
      ? []
      : await gatherEndpoints(options, dns, target, policy);
  const { allowedTargets, allowedFrom: from } = options;
  return {
    asked,
    at: new Date().toISOString(),
    service,
    target,
    policy: { allowedTargets, from, refusal },
    dns,
    endpoints,
    access,
  };
}

async function gatherService(options: GatherSettings, kubeConfig: KubeConfigLike): Promise<ServiceFacts> {
  const { asked, signal, timeoutMillis } = options;
  const { reference } = asked;
  const common = { kubeConfig, requestTimeoutMillis: requestMillis(timeoutMillis), signal };
  try {
    const found = await inspectService({
      ...common,
      service: reference.name,
      namespace: reference.namespace,
      clusterDomain: reference.clusterDomain,
    });
    const spec = (found.object['spec'] ?? {}) as { readonly type?: string; readonly externalName?: string };
    return {
      kind: 'found',
      cluster: clusterName(kubeConfig),
      type: spec.type ?? 'ClusterIP',
      externalName: spec.externalName,
      target: found.target,
      issues: validate(found.object, { clusterDomain: reference.clusterDomain }),
      owners: found.owners,
      writers: found.writers,
      lastSwitch: found.lastSwitch,
    };
  } catch (error) {
    const failed = failureOf(error, signal);
    if (failed.code !== 'ERR_EXTERNALNAME_SERVICE_NOT_FOUND') return failed;
    const others = await listServices({ ...common, namespace: reference.namespace }).catch(() => []);
    return { kind: 'missing', cluster: clusterName(kubeConfig), others: others.map(({ name }) => name) };
  }
}

async function gatherAccess(
  { asked, signal, timeoutMillis }: GatherSettings,
  kubeConfig: KubeConfigLike,
): Promise<AccessFacts> {
  const { name, namespace } = asked.reference;
  const permissions = [
    ...['get', 'list', 'watch', 'patch'].map((verb) => ({ verb, resource: 'services', name })),
    { verb: 'create', resource: 'events' },
  ];
  try {
    const reviewed = await reviewAccess({
      permissions,
      namespace,
      kubeConfig,
      requestTimeoutMillis: requestMillis(timeoutMillis),
      signal,
    });
    return { kind: 'reviewed', user: kubeConfig.getCurrentUser()?.name, permissions: reviewed };
  } catch (error) {
    return failureOf(error, signal);
  }
}

async function gatherNames(
  { asked, nameservers, signal, timeoutMillis }: GatherSettings,
  service: ServiceFacts,
): Promise<{ readonly dns: DnsFacts; readonly target: TargetName | undefined }> {
  const { reference, written } = asked;
  const { from, servers, pod } = nameservers;
  const askAll = (name: string) =>
    Promise.all(
      servers.map((server) => askNameserver(server, name, { signal, timeoutMillis: Math.min(timeoutMillis, 2_000) })),
    );
  const ofService = from === 'cluster' ? await askAll(reference.fullName) : [];
  const chain = ofService.map((answer) => answer.chain).find((each) => each.length > 0);
  const target = targetFrom(
    service,
    reference,
    chain?.map((hop) => hop.target),
  );
  const ofTarget =
    target === undefined || looksLikeAddress(target.externalName) ? [] : await askAll(target.externalName);
  const candidates = pod && searchCandidates(written, pod);
  const wasted = candidates?.slice(0, Math.max(0, candidates.indexOf(reference.fullName)));
  return { dns: { from, service: ofService, target: ofTarget, wasted }, target };
}

/** By the API; through hops inside the cluster, and if the API cannot tell, by DNS. */
function targetFrom(
  service: ServiceFacts,
  { fullName, clusterDomain }: Asked['reference'],
  chain: readonly string[] | undefined,
): TargetName | undefined {
  const said = service.kind === 'found' ? service.target : undefined;
  if (service.kind === 'missing' || (service.kind === 'found' && said === undefined)) return undefined;
  if (said !== undefined && !isWithin(said, clusterDomain)) return { externalName: said, via: [fullName] };
  if (chain !== undefined && (said === undefined || chain[0] === said))
    return targetOfChain([fullName, ...chain], { clusterDomain });
  return said === undefined ? undefined : { externalName: said, via: [fullName] };
}

function policyOf({ asked, allowedTargets, allowedNetworks }: GatherSettings): TargetPolicy {
  // Without a list nothing is refused by name, and addresses are checked all the same.
  return createTargetPolicy({
    service: asked.written,
    allowedTargets: allowedTargets ?? 'any',
    ...(allowedNetworks !== undefined && { allowedNetworks }),
  });
}

function gatherEndpoints(
  options: GatherSettings,
  dns: DnsFacts,
  target: TargetName,
  policy: TargetPolicy,
): Promise<EndpointFacts[]> {
  const addresses = [...new Set(dns.target.flatMap((answer) => answer.addresses.map(({ address }) => address)))];
  return Promise.all(
    addresses.slice(0, mostAddresses).map((address) => gatherEndpoint(options, target, policy, address)),
  );
}

async function gatherEndpoint(
  options: GatherSettings,
  target: TargetName,
  policy: TargetPolicy,
  address: string,
): Promise<EndpointFacts> {
  const { asked, login, allowedTargets } = options;
  const refusal = refusalOf(() => policy.checkAddress(target, address));
  const facts: EndpointFacts = {
    address,
    refusal,
    tcp: undefined,
    tls: undefined,
    postgres: undefined,
    http: undefined,
  };
  if (refusal !== undefined) return facts;
  const tcp = await gatherTcp(options, address);
  if (tcp.kind === 'failed' || asked.protocol === 'tcp') return { ...facts, tcp };
  const tls = await gatherTls(options, target, address);
  const verified = tls.kind === 'shown' && tls.distrust === undefined && tls.identity === undefined;
  if (!verified) return { ...facts, tcp, tls };
  if (asked.protocol === 'https') return { ...facts, tcp, tls, http: await gatherHttp(options, target, address) };
  if (asked.protocol !== 'postgres' || login === undefined || allowedTargets === undefined)
    return { ...facts, tcp, tls };
  return { ...facts, tcp, tls, postgres: await gatherPostgres(options, login, target, address) };
}

async function gatherTcp(options: GatherSettings, address: string): Promise<NonNullable<EndpointFacts['tcp']>> {
  const beganAt = performance.now();
  try {
    await limited(options, `port ${options.asked.port} of ${address}`, (signal) =>
      tcpProbe({ port: options.asked.port }).run(address, { signal }),
    );
    return { kind: 'open', elapsedMillis: elapsed(beganAt) };
  } catch (error) {
    return failureOf(error, options.signal);
  }
}

async function gatherTls(options: GatherSettings, target: TargetName, address: string): Promise<TlsFacts | Failed> {
  const { asked, ca, timeoutMillis, signal } = options;
  const protocol = asked.protocol === 'postgres' ? 'postgres' : 'tls';
  try {
    const found = await inspectTls({ target, address, port: asked.port, ca, protocol, timeoutMillis, signal });
    return { kind: 'shown', ...found, identity: found.identity?.message };
  } catch (error) {
    return failureOf(error, signal);
  }
}

async function gatherPostgres(
  options: GatherSettings,
  login: PostgresLogin,
  target: TargetName,
  address: string,
): Promise<NonNullable<EndpointFacts['postgres']>> {
  const { asked, ca, timeoutMillis } = options;
  try {
    const { default: pg } = await import('pg');
    const client = new pg.Client({
      host: address,
      port: asked.port,
      ...login,
      ssl: { ...tlsIdentity(target), rejectUnauthorized: true, ...(ca !== undefined && { ca }) },
      application_name: 'externalname doctor',
      connectionTimeoutMillis: timeoutMillis,
      query_timeout: timeoutMillis,
    });
    return {
      kind: 'answered',
      ...(await limited(options, `the login to ${address}`, (signal) => inspectPostgres(client, { signal }))),
    };
  } catch (error) {
    const failed = failureOf(error, options.signal);
    // What pg says if the server asks for a password and there is none.
    return /client password must be a string/.test(failed.message) ? { ...failed, code: 'NO_PASSWORD' } : failed;
  }
}

async function gatherHttp(options: GatherSettings, target: TargetName, address: string): Promise<HttpFacts | Failed> {
  const { asked, ca, path } = options;
  const { request } = await import('node:https');
  const beganAt = performance.now();
  try {
    return await limited(
      options,
      `the answer of ${target.externalName}`,
      (signal) =>
        new Promise<HttpFacts>((resolve, reject) => {
          const asking = request({
            host: address,
            port: asked.port,
            path,
            method: 'HEAD',
            headers: {
              host: asked.port === 443 ? target.externalName : `${target.externalName}:${asked.port}`,
              'user-agent': 'externalname doctor',
            },
            ...tlsIdentity(target),
            rejectUnauthorized: true,
            ...(ca !== undefined && { ca }),
            agent: false,
            signal,
          });
          asking.once('error', reject);
          asking.once('response', (response) => {
            response.resume();
            const { statusCode: status = 0, headers } = response;
            const location = headers.location === undefined ? undefined : printable(headers.location, 300);
            resolve({ kind: 'answered', status, location, elapsedMillis: elapsed(beganAt) });
          });
          asking.end();
        }),
    );
  } catch (error) {
    return failureOf(error, options.signal);
  }
}

/** Runs work within the time that one check may take. */
function limited<Result>(
  { timeoutMillis, signal }: GatherSettings,
  what: string,
  work: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  return withDeadline(work, { signal, timeoutMillis, onTimeout: () => new DeadlineError(what, timeoutMillis) });
}

function refusalOf(check: () => void): Failed | undefined {
  try {
    check();
    return undefined;
  } catch (error) {
    return failureOf(error, undefined);
  }
}

/** The error in one line, unless the command was ended. */
export function failureOf(error: unknown, signal: AbortSignal | undefined): Failed {
  signal?.throwIfAborted();
  const code = (error as { code?: unknown } | null)?.code;
  const message =
    error instanceof AggregateError && error.message === ''
      ? String(error.errors[0]?.message)
      : error instanceof Error
        ? error.message
        : String(error);
  return {
    kind: 'failed',
    code: typeof code === 'string' ? code : '',
    message: printable(message, 500).replace(/\.$/, ''),
  };
}

/** `https://10.0.0.1:6443 (context staging)` */
function clusterName(kubeConfig: KubeConfigLike): string {
  const server = kubeConfig
    .getCurrentCluster()
    ?.server.replace(/^(https?:\/\/)[^/]*@/, '$1')
    .replace(/\/+$/, '');
  return `${server ?? 'no cluster'} (context ${kubeConfig.getCurrentContext()})`;
}

/** Within what a request to the Kubernetes API may take. */
function requestMillis(timeoutMillis: number): number {
  return Math.min(60_000, Math.max(100, timeoutMillis));
}

function elapsed(since: number): number {
  return Math.round((performance.now() - since) * 10) / 10;
}

/** A name with more addresses than that is looked at in part. */
const mostAddresses = 16;
