import { aNumber, aText, checkObject, checkOptions, listOf, optional, optionsOf } from '@externalname/core/internal';
import type { StartedFault } from '../faults.ts';
import type { ApiFault } from '../kubernetes-api/api-faults.ts';
import type { ApiServer } from '../kubernetes-api/api-server.ts';
import { kubeconfigText } from '../kubernetes-api/kubeconfig.ts';
import { administrator, serviceAccountUser } from '../kubernetes-api/users.ts';

/** The holder of a token: a user with groups, or a ServiceAccount. */
export type Identity =
  | { readonly user: string; readonly groups?: readonly string[] | undefined }
  | { readonly serviceAccount: string /** @defaultValue `default` */; readonly namespace?: string | undefined };

/** The Kubernetes API of the cluster. See `LocalCluster.api`. */
export class LocalApi {
  /** The authority that verifies the server's certificate, PEM. */
  readonly certificateAuthority: string;
  readonly #server: ApiServer;
  readonly #token: string;

  /** @internal */
  constructor(server: ApiServer, certificateAuthority: string) {
    this.#server = server;
    this.certificateAuthority = certificateAuthority;
    this.#token = server.users.issue({ name: administrator.name, groups: administrator.groups });
  }

  /** `https://127.0.0.1:41234` */
  get url(): string {
    return this.#server.url;
  }

  /** How many watches are open. */
  get openWatches(): number {
    return this.#server.openWatches;
  }

  /** The bearer token of an administrator, who may do everything. */
  adminToken(): string {
    return this.#token;
  }

  /**
   * A new bearer token. Roles and RoleBindings decide what its holder may do.
   *
   * @param options `lifetimeSeconds`: after this time the server answers 401, as for an expired token of a pod.
   * @defaultValue the token never expires
   */
  tokenFor(identity: Identity, options: { readonly lifetimeSeconds?: number | undefined } = {}): string {
    checkOptions(options, { lifetimeSeconds: optional(aNumber({ above: 0, unit: 'seconds' })) });
    return this.#server.users.issue(userOf(identity), options.lifetimeSeconds);
  }

  /** Text of a kubeconfig, for an administrator or with a new token for `identity`. Contains a secret. */
  kubeconfig(identity?: Identity): string {
    const user = identity === undefined ? administrator : userOf(identity);
    return kubeconfigText({
      server: this.url,
      certificateAuthority: this.certificateAuthority,
      user: user.name,
      token: identity === undefined ? this.#token : this.tokenFor(identity),
      namespace: identity !== undefined && 'serviceAccount' in identity ? identity.namespace : undefined,
    });
  }

  /**
   * Starts a fault, until it is ended.
   *
   * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT`
   */
  fault(fault: ApiFault): StartedFault {
    return this.#server.fault(fault);
  }

  /** Ends all faults. */
  heal(): void {
    this.#server.heal();
  }

  /** Resolves when the server listens again after the fault `refusing` ended. */
  listening(): Promise<void> {
    return this.#server.listening();
  }

  /** Forgets the history of changes. A watch that resumes from an older version gets 410 Gone. */
  expireResourceVersions(): void {
    this.#server.expireResourceVersions();
  }
}

function userOf(identity: Identity): { name: string; groups?: readonly string[] | undefined } {
  checkObject('identity', identity);
  if ('user' in identity) {
    aUser('identity', identity);
    return { name: identity.user, groups: identity.groups };
  }
  aServiceAccount('identity', identity);
  return serviceAccountUser(identity.namespace ?? 'default', identity.serviceAccount);
}

const aUser = optionsOf<Extract<Identity, { user: string }>>({ user: aText, groups: optional(listOf(aText)) });
const aServiceAccount = optionsOf<Extract<Identity, { serviceAccount: string }>>({
  serviceAccount: aText,
  namespace: optional(aText),
});
