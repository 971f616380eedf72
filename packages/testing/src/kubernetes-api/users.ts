import { randomBytes } from 'node:crypto';
import type { Clock } from '@externalname/core';

/** Who sends a request. */
export interface User {
  readonly name: string;
  readonly groups: readonly string[];
  readonly uid?: string;
}

/** Bearer tokens and their users. Tokens are random text, not JWTs. */
export class Users {
  readonly #clock: Clock;
  readonly #tokens = new Map<string, { user: User; expiresAt: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Makes a token for a user. `system:authenticated` is added to the groups. */
  issue(user: { name: string; groups?: readonly string[] | undefined }, lifetimeSeconds?: number): string {
    const token = `local-cluster-${randomBytes(24).toString('base64url')}`;
    const groups = [...new Set([...(user.groups ?? []), 'system:authenticated'])];
    const lifetime = lifetimeSeconds === undefined ? Number.POSITIVE_INFINITY : lifetimeSeconds * 1000;
    this.#tokens.set(token, { user: { name: user.name, groups }, expiresAt: this.#clock.now() + lifetime });
    return token;
  }

  /** The user that a token belongs to; undefined if the token is unknown or expired. */
  find(token: string): User | undefined {
    const found = this.#tokens.get(token);
    return found !== undefined && found.expiresAt > this.#clock.now() ? found.user : undefined;
  }
}

/** The user that a ServiceAccount is. */
export function serviceAccountUser(namespace: string, name: string): User {
  return {
    name: `system:serviceaccount:${namespace}:${name}`,
    groups: ['system:serviceaccounts', `system:serviceaccounts:${namespace}`, 'system:authenticated'],
  };
}

/** The user of requests without a token. */
export const anonymous: User = { name: 'system:anonymous', groups: ['system:unauthenticated'] };

/** May do everything. */
export const administrator: User = { name: 'kubernetes-admin', groups: ['system:masters', 'system:authenticated'] };
