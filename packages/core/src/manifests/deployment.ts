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
  /** Hosts that the application may be led to; becomes `EXTERNALNAME_ALLOWED_TARGETS`. */
  allowedTargets?: readonly string[] | undefined;
  /** Environment variables with plain values. Passwords belong into Secrets: see `envFromSecrets`. */
  env?: Readonly<Record<string, string>> | undefined;
  /** Names of Secrets whose keys become environment variables. */
  envFromSecrets?: readonly string[] | undefined;
  /** Needed where the application watches the Service through the API. @defaultValue the namespace's own, its token not mounted */
  serviceAccountName?: string | undefined;
  /** How the resolver of its pods asks. @defaultValue that of {@link PodDnsOptions} */
  dns?: PodDnsOptions | undefined;
}

/** How the pod's resolver looks names up. */
export interface PodDnsOptions {
  /**
   * A name with fewer dots is tried with each search domain first, 0 to 15. kubelet's own 5 makes eight queries of
   * `primary-db.example.com` before the one that counts; 2 leaves `webscaler-db` and `webscaler-db.default` to the
   * search list, and asks for anything longer as it stands.
   * @defaultValue 2
   */
  ndots?: number | undefined;
  /** Seconds before another server is asked, 1 to 30. @defaultValue 2 */
  timeoutSeconds?: number | undefined;
  /** How often all servers are asked, 1 to 5. @defaultValue 3 */
  attempts?: number | undefined;
}

/**
 * A Deployment for an application that uses the SDK, with DNS settings that make lookups cheap.
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
