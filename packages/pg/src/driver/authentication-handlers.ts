import type * as pg from 'pg';

/** The handlers by which `pg` answers a server's requests while it authenticates, so that they can be intercepted. */
export function authenticationOf(client: pg.Client): AuthenticatingClient {
  return client as unknown as AuthenticatingClient;
}

type HandlerName =
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
  /** On a TLS socket, like the next one. */
  getPeerX509Certificate?(): { readonly raw: Buffer } | undefined;
  getPeerCertificate?(): { readonly raw?: Buffer };
}

/** The parts of a client that authenticate. `connection` is missing on another kind of client (pg-native). */
export type AuthenticatingClient = Record<HandlerName, (message: AuthenticationMessage) => unknown> & {
  readonly password?: unknown;
  /** Whether SCRAM is bound to the channel if the server offers it. `pg` before 8.15 does not know it. */
  enableChannelBinding?: boolean;
  /** Since `pg` 8.21. */
  readonly scramMaxIterations?: number;
  saslSession?: unknown;
  readonly connection?: NodeJS.EventEmitter & {
    readonly stream: AuthenticationStream;
    sendSCRAMClientFinalMessage(message: string): void;
  };
};
