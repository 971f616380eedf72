import { X509Certificate } from 'node:crypto';
import type * as pg from 'pg';
import {
  type AuthenticatingClient,
  type AuthenticationMessage,
  type AuthenticationStream,
  authenticationOf,
} from '../driver/authentication-handlers.ts';
import { streamOf } from '../driver/client-internals.ts';
import { hideClientSecrets, hideEchoes } from '../driver/concealed-client.ts';
import { guardMessages } from '../driver/message-guard.ts';
import { Notes } from '../driver/shared-listener.ts';
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
 *
 * To be called once for each attempt to connect, before it.
 */
export function guardAuthentication(client: pg.Client, demands: AuthenticationDemands): void {
  guardMessages(client, demands.where);
  hideEchoes(client);
  hideClientSecrets(client);
  const guarded = authenticationOf(client);
  const { connection } = guarded;
  // pg-native authenticates inside libpq, which has its own options for this.
  if (connection === undefined) return;
  if (demands.accepted === undefined && !demands.channelBinding) return;
  const guard = new AuthenticationGuard(guarded, connection, demands);
  // A client that tries again gets a new one.
  guards.note(client, guard);
  Object.assign(client, guardedHandlers);
  connection.on('authenticationOk', () => guard.ok());
}

/**
 * Lets go of what a client needed to authenticate: a certificate, and how far its server had come. An idle connection would keep it. A later request
 * to authenticate breaks the protocol; see `guardMessages`.
 *
 * To be called once it is connected, after {@link certificateExpiry}.
 */
export function forgetAuthentication(client: pg.ClientBase): void {
  const stream = streamOf(client);
  if (stream !== undefined) certificates.delete(stream as unknown as AuthenticationStream);
  if (scramAnswers.of(client) !== undefined) scramAnswers.note(client, undefined);
  if (guards.of(client) !== undefined) guards.note(client, undefined);
}

/** How far a server has come with authentication. An object and handlers that all clients share, because each connection keeps them. */
class AuthenticationGuard {
  readonly #client: AuthenticatingClient;
  readonly #connection: NonNullable<AuthenticatingClient['connection']>;
  readonly #demands: AuthenticationDemands;
  #used: AuthenticationMethod = 'none';
  #proved = false;
  #admitted = false;

  constructor(
    client: AuthenticatingClient,
    connection: NonNullable<AuthenticatingClient['connection']>,
    demands: AuthenticationDemands,
  ) {
    this.#client = client;
    this.#connection = connection;
    this.#demands = demands;
  }

  allow(method: AuthenticationMethod): boolean {
    const { accepted, requireChannelBinding } = this.#demands;
    this.#used = method;
    if (requireChannelBinding && method !== 'scram-sha-256') {
      return this.#refuse(
        `asked for authentication method ${method}, which has no channel binding, but channelBinding: require is set`,
      );
    }
    if (accepted === undefined || accepted.includes(method)) return true;
    return this.#refuse(
      `asked for authentication method ${method}, but requireAuth accepts ${accepted.join(', ') || 'no method'}`,
    );
  }

  allowScram({ mechanisms }: AuthenticationMessage): boolean {
    const { channelBinding, requireChannelBinding } = this.#demands;
    if (!this.allow('scram-sha-256')) return false;
    if (requireChannelBinding && !mechanisms?.includes('SCRAM-SHA-256-PLUS')) {
      return this.#refuse('offers no channel binding, but channelBinding: require is set');
    }
    if (!channelBinding) return true;
    const certificate = certificateOf(this.#connection.stream, this.#client);
    if (certificate !== undefined && hashOfSignature(certificate) !== undefined) return true;
    if (requireChannelBinding) {
      return this.#refuse(
        'has a certificate that does not allow channel binding, because its signature has no hash function (Ed25519, Ed448), but ' +
          'channelBinding: require is set: issue a certificate that is signed with RSA or ECDSA',
      );
    }
    // As a client without channel binding, which `prefer` allows.
    this.#client.enableChannelBinding = false;
    return true;
  }

  /** The server's last message of SCRAM was handled. */
  finished(): void {
    // pg clears the session only once the server's signature was right.
    this.#proved = this.#client.saslSession === null;
  }

  /** The server lets the client in. */
  ok(): void {
    if (this.#used === 'scram-sha-256' && !this.#proved) {
      this.#refuse('ended SCRAM without proving that it knows the password');
    } else this.#admitted = this.#used !== 'none' || this.allow('none');
  }

  allowStatements(): boolean {
    return this.#admitted || this.#refuse('was ready for statements before authentication was complete');
  }

  #refuse(what: string): false {
    this.#connection.emit('error', new AuthenticationRefusedError(this.#demands.where, what));
    this.#connection.stream.destroy();
    return false;
  }
}

const guards = new Notes<AuthenticationGuard | undefined>('authentication');

/** What `pg` does: the handlers of its class, because the client's own are ours. */
function handlersOf(client: AuthenticatingClient): AuthenticatingClient {
  return Object.getPrototypeOf(client) as AuthenticatingClient;
}

/** What is called in the place of the handlers of `pg`, which binds them to the client. */
const guardedHandlers = {
  _handleAuthCleartextPassword(this: AuthenticatingClient, message: AuthenticationMessage): unknown {
    if (!guards.of(this)?.allow('password')) return undefined;
    return handlersOf(this)._handleAuthCleartextPassword.call(this, message);
  },
  _handleAuthMD5Password(this: AuthenticatingClient, message: AuthenticationMessage): unknown {
    if (!guards.of(this)?.allow('md5')) return undefined;
    return handlersOf(this)._handleAuthMD5Password.call(this, message);
  },
  _handleAuthSASL(this: AuthenticatingClient, message: AuthenticationMessage): unknown {
    if (!guards.of(this)?.allowScram(message)) return undefined;
    return handlersOf(this)._handleAuthSASL.call(this, message);
  },
  _handleAuthSASLFinal(this: AuthenticatingClient, message: AuthenticationMessage): unknown {
    const result = handlersOf(this)._handleAuthSASLFinal.call(this, message);
    guards.of(this)?.finished();
    return result;
  },
  // For `pg`, this message makes a client connected, whatever came before. Once it is, there is nothing left to guard.
  _handleReadyForQuery(this: AuthenticatingClient, message: AuthenticationMessage): unknown {
    const guard = guards.of(this);
    if (guard !== undefined && !guard.allowStatements()) return undefined;
    return handlersOf(this)._handleReadyForQuery.call(this, message);
  },
};

/**
 * Answers a server's SCRAM challenge with keys that are derived once for all connections; `pg` derives them for each.
 * The rest of the exchange stays with `pg`: the choice of the mechanism, its nonce, and the check of the server's proof.
 *
 * Its errors have the words of `pg` 8.23. A session of an unknown shape (`pg` before 8.21) is left to `pg`.
 */
export function answerScramFrom(client: pg.Client, cache: ScramKeyCache): void {
  const guarded = authenticationOf(client);
  if (guarded.connection === undefined) return;
  // A client that tries again may have others.
  scramAnswers.note(client, { cache, original: guarded._handleAuthSASLContinue });
  guarded._handleAuthSASLContinue = answerChallenge;
}

/** How a client answers a challenge of SCRAM: with whose keys, and what `pg` does. */
interface ScramAnswer {
  readonly cache: ScramKeyCache;
  readonly original: AuthenticatingClient['_handleAuthSASLContinue'];
}

const scramAnswers = new Notes<ScramAnswer | undefined>('scram');

// One for all clients, because each keeps it. `pg` binds it to the client.
function answerChallenge(
  this: AuthenticatingClient & Required<Pick<AuthenticatingClient, 'connection'>>,
  message: AuthenticationMessage,
): unknown {
  const { saslSession: session, connection } = this;
  const given = scramAnswers.of(this);
  if (given === undefined || !isKnownSession(session)) return given?.original.call(this, message);
  // With TLS, the stream has been replaced by now.
  const { stream } = connection;
  const answer = async () => {
    if (session.message !== 'SASLInitialResponse' || answeredSessions.has(session)) {
      throw new Error('SASL: Last message was not SASLInitialResponse');
    }
    answeredSessions.add(session);
    const proof = await prove(session, this, message.data, stream, given.cache);
    // The attempt may be over, and the client may be in use for the next one.
    if (this.saslSession !== session) return;
    session.message = 'SASLResponse';
    session.serverSignature = proof.serverSignature;
    session.response = proof.message;
    connection.sendSCRAMClientFinalMessage(proof.message);
  };
  return answer().catch((error: unknown) => void connection.emit('error', error));
}

const answeredSessions = new WeakSet<ScramSession>();

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
