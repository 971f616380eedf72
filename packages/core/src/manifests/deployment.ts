import { checkNumber } from '../input.ts';
import { parseTargetPattern } from '../names/index.ts';
import type { DeploymentManifest } from '../objects/index.ts';
import { aNumber, aText, checkOptions, listOf, optional, optionsOf, recordOf } from '../shape.ts';
import { type BuilderChecks, checked, OptionProblems } from './manifest-error.ts';
import { type ManifestName, metadata, nameShapes } from './object-name.ts';

/** See {@link applicationDeployment}. */
export interface ApplicationDeploymentOptions extends ManifestName, Pick<BuilderChecks, 'kubernetesVersion'> {
  /** Image of the only container. */
  image: string;
  /** How many pods, 0 or more. @defaultValue 2 */
  replicas?: number | undefined;
  /** Hosts that the Service may point to. They become the variable `EXTERNALNAME_ALLOWED_TARGETS`. */
  allowedTargets?: readonly string[] | undefined;
  /** Environment variables with plain values. Passwords belong in Secrets: see `envFromSecrets`. */
  env?: Readonly<Record<string, string>> | undefined;
  /** Names of Secrets whose keys become environment variables. */
  envFromSecrets?: readonly string[] | undefined;
  /** Needed if the application watches the Service through the API. @defaultValue the namespace's own, without its token mounted */
  serviceAccountName?: string | undefined;
  /** Settings of the resolver in its pods. @defaultValue the defaults of {@link PodDnsOptions} */
  dns?: PodDnsOptions | undefined;
}

/** How the pod's resolver looks names up. */
export interface PodDnsOptions {
  /**
   * A name with fewer dots is tried with each search domain first, 0 to 15. With kubelet's default of 5, the resolver sends
   * eight queries for `primary-db.example.com` before the one that counts. With 2, `webscaler-db` and `webscaler-db.default`
   * still use the search list, and any longer name is looked up as it is.
   * @defaultValue 2
   */
  ndots?: number | undefined;
  /** Seconds until the resolver asks another server, 1 to 30. @defaultValue 2 */
  timeoutSeconds?: number | undefined;
  /** How many times the resolver asks all servers, 1 to 5. @defaultValue 3 */
  attempts?: number | undefined;
}

/**
 * Makes a Deployment for an application that uses the SDK, with DNS settings that make lookups cheap.
 *
 * @throws ManifestInvalidError `ERR_EXTERNALNAME_MANIFEST_INVALID`, also for numbers out of range.
 *
 * Source: Kubernetes documentation, "DNS for Services and Pods", section Pod's DNS Config; resolv.conf(5).
 */
export function applicationDeployment(options: ApplicationDeploymentOptions): DeploymentManifest {
  checkOptions(options, {
    ...nameShapes,
    kubernetesVersion: optional(aText),
    image: aText,
    replicas: optional(aNumber()),
    allowedTargets: optional(listOf(aText)),
    env: optional(recordOf(aText)),
    envFromSecrets: optional(listOf(aText)),
    serviceAccountName: optional(aText),
    dns: optional(
      optionsOf<PodDnsOptions>({
        ndots: optional(aNumber()),
        timeoutSeconds: optional(aNumber()),
        attempts: optional(aNumber()),
      }),
    ),
  });
  const {
    name,
    image,
    replicas = 2,
    allowedTargets,
    env = {},
    envFromSecrets = [],
    serviceAccountName,
    dns = {},
  } = options;
  const { ndots = 2, timeoutSeconds = 2, attempts = 3 } = dns;
  const problems = new OptionProblems();
  whole('replicas', replicas, 0, 2 ** 31 - 1, problems);
  whole('dns.ndots', ndots, 0, 15, problems);
  whole('dns.timeoutSeconds', timeoutSeconds, 1, 30, problems);
  whole('dns.attempts', attempts, 1, 5, problems);
  const labels = { 'app.kubernetes.io/name': name };
  for (const [index, text] of (allowedTargets ?? []).entries()) {
    problems.attempt(`allowedTargets[${index}]`, () => parseTargetPattern(text, `allowedTargets[${index}]`));
  }
  const targets = allowedTargets === undefined ? {} : { EXTERNALNAME_ALLOWED_TARGETS: allowedTargets.join(',') };
  const variables = Object.entries({ ...targets, ...env }).map(([key, value]) => ({ name: key, value }));
  const deployment: DeploymentManifest = {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: metadata({ ...options, labels: { ...labels, ...options.labels } }),
    spec: {
      replicas,
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: {
          ...(serviceAccountName === undefined ? { automountServiceAccountToken: false } : { serviceAccountName }),
          containers: [
            {
              name,
              image,
              ...(variables.length > 0 ? { env: variables } : {}),
              ...(envFromSecrets.length > 0
                ? { envFrom: envFromSecrets.map((secret) => ({ secretRef: { name: secret } })) }
                : {}),
            },
          ],
          dnsConfig: {
            options: [
              { name: 'ndots', value: String(ndots) },
              { name: 'timeout', value: String(timeoutSeconds) },
              { name: 'attempts', value: String(attempts) },
            ],
          },
        },
      },
    },
  };
  return checked('Deployment', deployment, { kubernetesVersion: options.kubernetesVersion }, problems);
}

function whole(path: string, value: number, least: number, most: number, problems: OptionProblems): void {
  problems.attempt(path, () => checkNumber(path, value, { least, most, whole: true }));
}
