import type * as pg from 'pg';
import { AuthenticationRefusedError } from './errors.ts';

/** How a server may ask a client to authenticate, in the words of libpq's `require_auth`. */
export type AuthenticationMethod = 'scram-sha-256' | 'md5' | 'password' | 'none';

/** What a connection demands of the server while it authenticates. */
export interface AuthenticationDemands {
  /** `host (address:port)`, for messages. */
  readonly where: string;
  /** The methods that are accepted; `undefined` leaves it to `pg`. */
  readonly accepted: readonly AuthenticationMethod[] | undefined;
  /** Whether SCRAM must be bound to the TLS channel. */
  readonly requireChannelBinding: boolean;
}

/**
 * Makes a client refuse what its server must not ask for, before a password leaves the process, and refuse a server
 * that lets it in without having proved that it knows the password too.
 *
 * `pg` answers a request for a cleartext or MD5 password from anyone, and takes "authentication ok" from a server
 * that never finished SCRAM: such a server needs no password to pose as the real one.
 */
export function guardAuthentication(client: pg.Client, demands: AuthenticationDemands): void {
  const { accepted } = demands;
  if (accepted === undefined && !demands.requireChannelBinding) return;
  const guarded = client as unknown as GuardedClient;
  const { connection } = guarded;
  // pg-native authenticates inside libpq, which has options of its own for this.
  if (connection === undefined) return;
  let used: AuthenticationMethod = 'none';
  let proved = false;
  let admitted = false;

  const refuse = (what: string) => {
    connection.emit('error', new AuthenticationRefusedError(demands.where, what));
    connection.stream.destroy();
  };
  const allow = (method: AuthenticationMethod) => {
    used = method;
    if (demands.requireChannelBinding && method !== 'scram-sha-256') {
      refuse(
        `asked for authentication method ${method}, which binds no channel, and channelBinding: require was asked for`,
      );
      return false;
    }
    if (accepted === undefined || accepted.includes(method)) return true;
    refuse(`asked for authentication method ${method}, and only ${accepted.join(', ')} is accepted: see requireAuth`);
    return false;
  };
  const intercept = (name: HandlerName, before: (message: AuthenticationMessage) => boolean, after?: () => void) => {
    const original = guarded[name];
    guarded[name] = function (this: unknown, message: AuthenticationMessage) {
      if (!before(message)) return undefined;
      const result = original.call(this, message);
      after?.();
      return result;
    };
  };

  intercept('_handleAuthCleartextPassword', () => allow('password'));
  intercept('_handleAuthMD5Password', () => allow('md5'));
  intercept('_handleAuthSASL', (message) => {
    if (!allow('scram-sha-256')) return false;
    if (demands.requireChannelBinding && !message.mechanisms?.includes('SCRAM-SHA-256-PLUS')) {
      refuse('offers no channel binding, and channelBinding: require was asked for');
      return false;
    }
    return true;
  });
  intercept(
    '_handleAuthSASLFinal',
    () => true,
    () => {
      // pg clears the session only once the server's signature was right.
      proved = guarded.saslSession === null;
    },
  );
  connection.on('authenticationOk', () => {
    if (used === 'scram-sha-256' && !proved) refuse('ended SCRAM without proving that it knows the password');
    else admitted = used !== 'none' || allow('none');
  });
  // For `pg` it is this message that makes a client connected, whatever came before.
  intercept('_handleReadyForQuery', () => {
    if (!admitted) refuse('is ready for statements before it has authenticated anybody');
    return admitted;
  });
}

type HandlerName =
  | '_handleAuthCleartextPassword'
  | '_handleAuthMD5Password'
  | '_handleAuthSASL'
  | '_handleAuthSASLFinal'
  | '_handleReadyForQuery';

interface AuthenticationMessage {
  readonly mechanisms?: readonly string[];
}

type GuardedClient = Record<HandlerName, (message: AuthenticationMessage) => unknown> & {
  saslSession?: unknown;
  readonly connection?: NodeJS.EventEmitter & { readonly stream: { destroy(): void } };
};
