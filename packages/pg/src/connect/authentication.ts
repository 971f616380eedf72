import { X509Certificate } from 'node:crypto';
import type * as pg from 'pg';
import {
  type AuthenticatingClient,
  type AuthenticationMessage,
  type AuthenticationStream,
  authenticationOf,
  type HandlerName,
} from '../driver/authentication-handlers.ts';
import { streamOf } from '../driver/client-internals.ts';
import { hideClientSecrets, hideEchoes } from '../driver/concealed-client.ts';
import { guardMessages } from '../driver/message-guard.ts';
import { AuthenticationRefusedError } from '../errors.ts';
import { hashOfSignature, tlsServerEndPoint } from './channel-binding.ts';
import type { AuthenticationMethod } from './require-auth.ts';
import { proveKeys, readChallenge } from './scram.ts';
import type { ScramKeyCache } from './scram-key-cache.ts';

/** What a connection demands of the server while it authenticates. */
export interface AuthenticationDemands {
  /** `host (address:port)`, for messages. */
  readonly where: string;
  /** The methods that are accepted; `undefined` leaves it to `pg`. */
  readonly accepted: readonly AuthenticationMethod[] | undefined;
  /** Whether SCRAM is bound to the TLS channel, if the server offers it and its certificate allows it. */
  readonly channelBinding: boolean;
  /** Whether it must be. */
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
  guardMessages(client, demands.where);
  hideEchoes(client);
  hideClientSecrets(client);
  const { accepted } = demands;
  const guarded = authenticationOf(client);
  const { connection } = guarded;
  // pg-native authenticates inside libpq, which has its own options for this.
  if (connection === undefined) return;
  if (accepted === undefined && !demands.channelBinding) return;
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
        `asked for authentication method ${method}, which has no channel binding, but channelBinding: require is set`,
      );
      return false;
    }
    if (accepted === undefined || accepted.includes(method)) return true;
    refuse(`asked for authentication method ${method}, but requireAuth accepts ${accepted.join(', ') || 'no method'}`);
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
      refuse('offers no channel binding, but channelBinding: require is set');
      return false;
    }
    if (!demands.channelBinding) return true;
    const certificate = certificateOf(connection.stream, guarded);
    if (certificate !== undefined && hashOfSignature(certificate) !== undefined) return true;
    if (demands.requireChannelBinding) {
      refuse(
        'has a certificate that does not allow channel binding, because its signature has no hash function (Ed25519, Ed448), but ' +
          'channelBinding: require is set: issue a certificate that is signed with RSA or ECDSA',
      );
      return false;
    }
    // As a client without channel binding, which `prefer` allows.
    guarded.enableChannelBinding = false;
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
  // For `pg`, this message makes a client connected, whatever came before.
  intercept('_handleReadyForQuery', () => {
    if (!admitted) refuse('was ready for statements before authentication was complete');
    return admitted;
  });
}

/**
 * Answers a server's SCRAM challenge with keys that are derived once for all connections; `pg` derives them for each.
 * The rest of the exchange stays with `pg`: the choice of the mechanism, its nonce, and the check of the server's proof.
 *
 * Its errors have the words of `pg` 8.23. A session of an unknown shape (`pg` before 8.21) is left to `pg`.
 */
export function answerScramFrom(client: pg.Client, cache: ScramKeyCache): void {
  const guarded = authenticationOf(client);
  const { connection } = guarded;
  if (connection === undefined) return;
  const original = guarded._handleAuthSASLContinue;
  let answered: unknown;
  guarded._handleAuthSASLContinue = function (this: unknown, message: AuthenticationMessage) {
    const session = guarded.saslSession;
    if (!isKnownSession(session)) return original.call(this, message);
    // With TLS, the stream has been replaced by now.
    const { stream } = connection;
    const answer = async () => {
      if (session.message !== 'SASLInitialResponse' || answered === session) {
        throw new Error('SASL: Last message was not SASLInitialResponse');
      }
      answered = session;
      const proof = await prove(session, guarded, message.data, stream, cache);
      // The attempt may be over, and the client may be in use for the next one.
      if (guarded.saslSession !== session) return;
      session.message = 'SASLResponse';
      session.serverSignature = proof.serverSignature;
      session.response = proof.message;
      connection.sendSCRAMClientFinalMessage(proof.message);
    };
    return answer().catch((error: unknown) => void connection.emit('error', error));
  };
}

async function prove(
  session: ScramSession,
  client: AuthenticatingClient,
  data: unknown,
  stream: AuthenticationStream,
  cache: ScramKeyCache,
) {
  const { password } = client;
  const refuse = (what: string) => new Error(`SASL: SCRAM-SERVER-FIRST-MESSAGE: ${what}`);
  if (typeof password !== 'string') throw refuse('client password must be a string');
  if (password === '') throw refuse('client password must be a non-empty string');
  if (typeof data !== 'string') throw refuse('serverData must be a string');
  const challenge = readChallenge(data);
  const { clientNonce, scramMaxIterations, mechanism, response } = session;
  if (!challenge.nonce.startsWith(clientNonce)) throw refuse('server nonce does not start with client nonce');
  if (challenge.nonce.length === clientNonce.length) throw refuse('server nonce is too short');
  // 0 allows any number. Without a bound, a server could keep this process busy for as long as it likes.
  if (scramMaxIterations !== 0 && challenge.iterations > scramMaxIterations) {
    throw refuse(`iteration count ${challenge.iterations} exceeds scramMaxIterations of ${scramMaxIterations}`);
  }
  const channelBinding = mechanism === 'SCRAM-SHA-256-PLUS' ? bindingOf(stream, client) : undefined;
  const keys = await cache.keysOf(password, challenge);
  return proveKeys(keys, { clientFirst: response, challenge, channelBinding });
}

function certificateOf(stream: AuthenticationStream, client: AuthenticatingClient): Buffer | undefined {
  const known = certificates.get(stream);
  if (known !== undefined) return known;
  // Node.js 20 returns it in this way only once, and in no other way afterwards, so `pg` must not need it: before 8.21 `pg` answers
  // by itself. The other way also parses everything in the certificate, which takes longer.
  const isOurs = client.scramMaxIterations !== undefined;
  const first = isOurs ? stream.getPeerX509Certificate?.() : undefined;
  const certificate = (first ?? stream.getPeerCertificate?.())?.raw;
  if (certificate !== undefined) certificates.set(stream, certificate);
  return certificate;
}

const certificates = new WeakMap<AuthenticationStream, Buffer>();

/** When the certificate that the server showed to a client ends; `undefined` without TLS. */
export function certificateExpiry(client: pg.ClientBase): Date | undefined {
  const stream = streamOf(client) as Partial<AuthenticationStream> | undefined;
  if (stream === undefined) return undefined;
  const raw =
    certificates.get(stream as AuthenticationStream) ??
    stream.getPeerX509Certificate?.()?.raw ??
    stream.getPeerCertificate?.().raw;
  return raw === undefined ? undefined : new Date(new X509Certificate(raw).validTo);
}

function bindingOf(stream: AuthenticationStream, client: AuthenticatingClient): Buffer {
  const certificate = certificateOf(stream, client);
  if (certificate === undefined) throw new Error('SASL: Mechanism SCRAM-SHA-256-PLUS requires a certificate');
  return tlsServerEndPoint(certificate);
}

function isKnownSession(session: unknown): session is ScramSession {
  if (typeof session !== 'object' || session === null) return false;
  const { mechanism, clientNonce, response, scramMaxIterations } = session as Partial<ScramSession>;
  return (
    (mechanism === 'SCRAM-SHA-256' || mechanism === 'SCRAM-SHA-256-PLUS') &&
    typeof clientNonce === 'string' &&
    typeof response === 'string' &&
    typeof scramMaxIterations === 'number'
  );
}

/** What `pg` keeps of an exchange. */
interface ScramSession {
  readonly mechanism: string;
  readonly clientNonce: string;
  readonly scramMaxIterations: number;
  message: string;
  /** The message that was sent last. */
  response: string;
  serverSignature?: string;
}
