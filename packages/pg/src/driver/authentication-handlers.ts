import type * as pg from 'pg';

/** The handlers by which `pg` answers what a server asks for while it authenticates, to be put in the way of. */
export function authenticationOf(client: pg.Client): AuthenticatingClient {
  return client as unknown as AuthenticatingClient;
}

export type HandlerName =
  | '_handleAuthCleartextPassword'
  | '_handleAuthMD5Password'
  | '_handleAuthSASL'
  | '_handleAuthSASLContinue'
  | '_handleAuthSASLFinal'
  | '_handleReadyForQuery';

export interface AuthenticationMessage {
  readonly mechanisms?: readonly string[];
  readonly data?: unknown;
}

export interface AuthenticationStream {
  destroy(): void;
  /** On a socket with TLS, as the next one. */
  getPeerX509Certificate?(): { readonly raw: Buffer } | undefined;
  getPeerCertificate?(): { readonly raw?: Buffer };
}

/** What of a client takes part in authentication. `connection` is missing where it is of another make (pg-native). */
export type AuthenticatingClient = Record<HandlerName, (message: AuthenticationMessage) => unknown> & {
  readonly password?: unknown;
  /** Whether SCRAM is bound to the channel if the server offers it. `pg` before 8.15 knows nothing of it. */
  enableChannelBinding?: boolean;
  /** Since `pg` 8.21. */
  readonly scramMaxIterations?: number;
  saslSession?: unknown;
  readonly connection?: NodeJS.EventEmitter & {
    readonly stream: AuthenticationStream;
    sendSCRAMClientFinalMessage(message: string): void;
  };
};
