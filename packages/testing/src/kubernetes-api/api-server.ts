import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { Clock, Random } from '@externalname/core';
import { sleep } from '@externalname/core/internal';
import type { StartedFault } from '../faults.ts';
import { reset } from '../reset.ts';
import { type ApiFault, ApiFaults, checkApiFault } from './api-faults.ts';
import { type Attempt, Authorizer, refusalText } from './authorization.ts';
import { checkListOptions } from './list-options.ts';
import { asList, asMetadata, asTable, negotiate, negotiateWatch, type Representation } from './media-types.ts';
import { OpenWatch } from './open-watch.ts';
import { answerPath } from './path-answers.ts';
import type { ObjectRegistry } from './registry.ts';
import { readBody, received } from './request-body.ts';
import { parseTarget, type RequestTarget } from './request-target.ts';
import { handleResource, type ResourceAnswer, type ResourceParts, selectorOf } from './resource-requests.ts';
import { contentTypes, send, sendStatus, sendWarnings } from './response.ts';
import { selectedName } from './selectors.ts';
import { ApiStatusError, badRequest, expired, qualified } from './status.ts';
import { anonymous, type User, Users } from './users.ts';
import { startWatch, type WatchEvent } from './watch.ts';

/** The parts of an {@link ApiServer}. */
export interface ApiServerOptions {
  readonly address: string;
  /** 0 picks a free one. */
  readonly port: number;
  readonly registry: ObjectRegistry;
  /** Server certificate and key, PEM. */
  readonly certificate: string;
  readonly privateKey: string;
  readonly bookmarkIntervalMillis: number;
  readonly clock: Clock;
  readonly random: Random;
}

/** The Kubernetes API over HTTPS: authentication by bearer token, RBAC, discovery, and the verbs of an {@link ObjectRegistry}. */
export class ApiServer {
  readonly address: string;
  readonly port: number;
  readonly users: Users;
  readonly #server: Server;
  readonly #options: ApiServerOptions;
  readonly #parts: ResourceParts;
  readonly #faults = new ApiFaults();
  readonly #watches = new Set<OpenWatch>();
  readonly #connections = new Set<Socket>();
  readonly #closing = new AbortController();
  #refusing: Promise<void> | undefined;
  #closed: Promise<void> | undefined;

  static async listen(options: ApiServerOptions): Promise<ApiServer> {
    const server = createServer({ cert: options.certificate, key: options.privateKey, ALPNProtocols: ['http/1.1'] });
    await listening(server, options.address, options.port);
    return new ApiServer(options, server);
  }

  private constructor(options: ApiServerOptions, server: Server) {
    this.address = options.address;
    this.port = (server.address() as AddressInfo).port;
    this.#options = options;
    this.#server = server;
    this.users = new Users(options.clock);
    this.#parts = {
      registry: options.registry,
      authorizer: new Authorizer(options.registry.storage),
      users: this.users,
      clock: options.clock,
    };
    server.keepAliveTimeout = keepAliveMillis;
    server.on('connection', (socket: Socket) => {
      this.#connections.add(socket);
      socket.on('close', () => this.#connections.delete(socket));
    });
    // If a handshake fails, the client learns of it. The server can ignore it.
    server.on('tlsClientError', (_error, socket) => socket.destroy());
    server.on('request', (request, response) => {
      this.#serve(request, response).catch(() => response.destroy());
    });
  }

  /** `https://127.0.0.1:6443` */
  get url(): string {
    const host = this.address.includes(':') ? `[${this.address}]` : this.address;
    return `https://${host}:${this.port}`;
  }

  /** Starts a fault, which lasts until it is ended. */
  fault(fault: ApiFault): StartedFault {
    checkApiFault(fault);
    if (fault.kind === 'refusing') this.#refuse();
    if (fault.kind === 'dropping-watches') {
      for (const watch of [...this.#watches]) this.#drop(watch, fault.how ?? 'close', fault.afterMillis ?? 0);
    }
    return this.#faults.start(fault, () => {
      if (fault.kind === 'refusing' && this.#faults.current('refusing') === undefined) this.#listenAgain();
      if (fault.kind === 'silent-watches') for (const watch of this.#watches) watch.speak();
    });
  }

  /** Resolves when the server listens again after `refusing` ended. */
  async listening(): Promise<void> {
    await this.#refusing;
  }

  /** Ends all faults. */
  heal(): void {
    this.#faults.endAll();
  }

  /** Forgets the history: a watch that starts from an older resource version gets 410 Gone. */
  expireResourceVersions(): void {
    this.#options.registry.storage.compact();
  }

  /** How many watches are open. */
  get openWatches(): number {
    return this.#watches.size;
  }

  /** Ends watches and connections, and frees the port. Idempotent. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    this.#closing.abort(new Error('the API server closed'));
    for (const watch of [...this.#watches]) watch.stop();
    await this.#refusing;
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const socket of this.#connections) socket.destroy();
    await closed;
  }

  #refuse(): void {
    const before = this.#refusing ?? Promise.resolve();
    this.#refusing = before.then(
      () => new Promise<void>((resolve) => (this.#server.listening ? this.#server.close(() => resolve()) : resolve())),
    );
    if (this.#server.listening) {
      for (const watch of [...this.#watches]) watch.stop();
    }
    // Queued work runs after the listening socket is closed.
    this.#refusing.catch(() => undefined);
    queueMicrotask(() => {
      for (const socket of this.#connections) reset(socket);
    });
  }

  #listenAgain(): void {
    const before = this.#refusing ?? Promise.resolve();
    this.#refusing = before.then(async () => {
      if (this.#server.listening || this.#closing.signal.aborted) return;
      await listening(this.#server, this.address, this.port);
    });
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const target = parseTarget(request.method ?? 'GET', request.url ?? '/');
    response.setHeader('cache-control', 'no-cache, private');
    try {
      const slow = this.#faults.take('slow', target);
      if (slow !== undefined) {
        await sleep(slow.delayMillis, { signal: this.#closing.signal, clock: this.#options.clock });
      }
      const broken = this.#faults.take('status', target);
      if (broken !== undefined) throw faultStatus(broken.code, broken.retryAfterSeconds);
      const user = this.#authenticate(request);
      this.#authorize(user, attemptOf(request, target));
      if (target.kind === 'path') {
        answerPath(request, response, target, `${this.address}:${this.port}`);
      } else if (target.verb === 'watch') {
        this.#watch(request, response, target);
      } else {
        await this.#answerResource(request, response, target, user);
      }
    } catch (error) {
      if (response.headersSent || response.destroyed) {
        response.destroy();
      } else if (error instanceof ApiStatusError) {
        sendWarnings(response, error.warnings);
        sendStatus(response, error.status, request.headers.accept);
      } else if (this.#closing.signal.aborted) {
        response.destroy();
      } else {
        const message = error instanceof Error ? error.message : String(error);
        sendStatus(response, new ApiStatusError(500, 'InternalError', `Internal error occurred: ${message}`).status);
      }
    }
  }

  /** @throws ApiStatusError 401, 403 */
  #authenticate(request: IncomingMessage): User {
    const [scheme = '', token = ''] = (request.headers.authorization ?? '').split(' ');
    const bearer = scheme.toLowerCase() === 'bearer' && token !== '';
    const user = bearer ? this.users.find(token) : anonymous;
    if (user === undefined) throw new ApiStatusError(401, 'Unauthorized', 'Unauthorized');
    return this.#impersonate(request, user);
  }

  /** `kubectl --as`. */
  #impersonate(request: IncomingMessage, user: User): User {
    const name = header(request, 'impersonate-user');
    const groups = (header(request, 'impersonate-group') ?? '').split(', ').filter((group) => group !== '');
    if (name === undefined) {
      if (groups.length === 0) return user;
      const list = groups.map((group) => JSON.stringify(group)).join(', ');
      throw badRequest(
        `requested &user.DefaultInfo{Name:"", UID:"", Groups:[]string{${list}}, Extra:map[string][]string(nil)} without impersonating a user name`,
      );
    }
    const account = /^system:serviceaccount:([^:]+):([^:]+)$/.exec(name);
    const authorize = (resource: string, wanted: string, namespace = '') =>
      this.#authorize(user, { verb: 'impersonate', group: '', resource, namespace, name: wanted });
    if (account === null) authorize('users', name);
    else authorize('serviceaccounts', account[2] ?? '', account[1]);
    for (const group of groups) authorize('groups', group);
    if (name === anonymous.name) return anonymous;
    const own = account === null ? [] : ['system:serviceaccounts', `system:serviceaccounts:${account[1]}`];
    return { name, groups: [...groups, ...own, 'system:authenticated'] };
  }

  /** @throws ApiStatusError 403 */
  #authorize(user: User, attempt: Attempt): void {
    if (this.#parts.authorizer.allows(user, attempt)) return;
    const text = refusalText(user, attempt);
    if ('path' in attempt) throw new ApiStatusError(403, 'Forbidden', `forbidden: ${text}`, {});
    const plural = attempt.resource.split('/')[0] ?? '';
    const what = qualified({ plural, group: attempt.group });
    const name = attempt.name === '' ? '' : ` ${JSON.stringify(attempt.name)}`;
    throw new ApiStatusError(403, 'Forbidden', `${what}${name} is forbidden: ${text}`, {
      ...(attempt.name === '' ? {} : { name: attempt.name }),
      ...(attempt.group === '' ? {} : { group: attempt.group }),
      kind: plural,
    });
  }

  async #answerResource(
    request: IncomingMessage,
    response: ServerResponse,
    target: RequestTarget & { kind: 'resource' },
    user: User,
  ): Promise<void> {
    const representation = negotiate(request.headers.accept);
    const contentType = (request.headers['content-type'] ?? '').split(';')[0]?.trim() ?? '';
    const body = readBody(await received(request), contentType, target);
    const answer = handleResource(
      {
        target,
        user,
        contentType,
        body,
        userAgent: request.headers['user-agent'] ?? '',
        authorizeCreate: () => this.#authorize(user, { ...attemptOf(request, target), verb: 'create' } as Attempt),
      },
      this.#parts,
    );
    sendWarnings(response, answer.warnings);
    send(response, answer.code, this.#represent(answer, target, representation), representation);
  }

  #represent(answer: ResourceAnswer, target: RequestTarget & { kind: 'resource' }, as: Representation): object {
    const { content } = answer;
    const { type, query } = target;
    if (content.kind === 'status') return content.status;
    const objects = content.kind === 'list' ? content.objects : [content.object];
    const metadata =
      content.kind === 'list' ? content.metadata : { resourceVersion: content.object.metadata.resourceVersion ?? '' };
    if (as === 'table') {
      return asTable(type, objects, metadata, {
        now: this.#options.clock.date(),
        includeObject: query.get('includeObject'),
        withColumns: true,
      });
    }
    if (as === 'metadata') {
      if (content.kind === 'object') return asMetadata(content.object);
      const list = { kind: 'PartialObjectMetadataList', apiVersion: 'meta.k8s.io/v1', metadata };
      return { ...list, items: objects.map(asMetadata) };
    }
    return content.kind === 'object' ? content.object : asList(type, objects, content.metadata);
  }

  #watch(request: IncomingMessage, response: ServerResponse, target: RequestTarget & { kind: 'resource' }): void {
    const { type, query } = target;
    const representation = negotiateWatch(request.headers.accept);
    checkListOptions(query, 'watch');
    const selector = selectorOf(target);
    const resourceVersion = query.get('resourceVersion') ?? '';
    const gone = this.#faults.current('expired');
    const status =
      gone && resourceVersion !== '' && resourceVersion !== '0' ? expiredStatus(resourceVersion) : undefined;
    if (status !== undefined && gone?.as === 'status') throw status;

    response.writeHead(200, { 'content-type': contentTypes[representation] });
    response.flushHeaders();
    const watch = new OpenWatch(response, this.#eventWriter(target, representation), this.#faults);
    if (status !== undefined) {
      watch.send({ type: 'ERROR', object: status.status });
      watch.end();
      return;
    }
    this.#watches.add(watch);
    watch.onStop(() => this.#watches.delete(watch));
    response.on('close', () => watch.stop());
    watch.onStop(
      startWatch(
        {
          type,
          namespace: target.namespace === '' ? undefined : target.namespace,
          selector,
          resourceVersion,
          allowBookmarks: query.get('allowWatchBookmarks') === 'true',
          sendInitialEvents: query.get('sendInitialEvents') === 'true',
          timeoutSeconds: Number(query.get('timeoutSeconds') ?? 0) || 1800 + this.#options.random() * 1800,
        },
        {
          storage: this.#options.registry.storage,
          clock: this.#options.clock,
          bookmarkIntervalMillis: this.#options.bookmarkIntervalMillis,
          output: watch,
        },
      ),
    );
    const dropping = this.#faults.current('dropping-watches');
    if (dropping !== undefined) this.#drop(watch, dropping.how ?? 'close', dropping.afterMillis ?? 0);
  }

  #drop(watch: OpenWatch, how: 'close' | 'reset', afterMillis: number): void {
    const timer = this.#options.clock.schedule(() => (how === 'reset' ? watch.reset() : watch.end()), afterMillis, {
      background: true,
    });
    watch.onStop(() => timer.cancel());
  }

  /** Writes events in the form that the client asked for. Only the first row of a table brings its columns. */
  #eventWriter(target: RequestTarget & { kind: 'resource' }, as: Representation): (event: WatchEvent) => string {
    let first = true;
    return ({ type, object }) => {
      let shown: object = object;
      if (type !== 'ERROR' && 'apiVersion' in object && object.kind !== 'Status') {
        const given = object as Parameters<typeof asMetadata>[0];
        if (as === 'metadata') shown = asMetadata(given);
        if (as === 'table') {
          shown = asTable(
            target.type,
            type === 'BOOKMARK' ? [] : [given],
            { resourceVersion: given.metadata.resourceVersion },
            {
              now: this.#options.clock.date(),
              includeObject: target.query.get('includeObject'),
              withColumns: first,
            },
          );
          first = false;
        }
      }
      return `${JSON.stringify({ type, object: shown })}\n`;
    };
  }
}

function attemptOf(request: IncomingMessage, target: RequestTarget): Attempt {
  if (target.kind === 'path') {
    const verbs: Record<string, string> = {
      GET: 'get',
      HEAD: 'head',
      POST: 'post',
      PUT: 'put',
      PATCH: 'patch',
      DELETE: 'delete',
    };
    return { verb: verbs[request.method ?? 'GET'] ?? 'get', path: target.path };
  }
  const { verb, type, namespace, subresource } = target;
  // A list or watch of one name may be granted by that name.
  const pinned =
    verb === 'list' || verb === 'watch' ? selectedName(target.query.get('fieldSelector') ?? '') : undefined;
  return {
    verb,
    group: type.group,
    resource: subresource === undefined ? type.plural : `${type.plural}/${subresource}`,
    namespace: type.kind === 'Namespace' ? target.name : namespace,
    name: target.name === '' ? (pinned ?? '') : target.name,
  };
}

function expiredStatus(resourceVersion: string): ApiStatusError {
  return expired(`too old resource version: ${resourceVersion} (${Number(resourceVersion) + 1})`);
}

function faultStatus(code: number, retryAfterSeconds: number | undefined): ApiStatusError {
  const [reason, message] = faultTexts[code] ?? ['InternalError', `Internal error occurred: fault with status ${code}`];
  const retry = retryAfterSeconds ?? (code === 429 ? 1 : undefined);
  return new ApiStatusError(code, reason, message, retry === undefined ? undefined : { retryAfterSeconds: retry });
}

function header(request: IncomingMessage, name: string): string | undefined {
  const value = request.headers[name];
  return Array.isArray(value) ? value.join(', ') : value;
}

async function listening(server: Server, address: string, port: number): Promise<void> {
  await once(server.listen({ host: address, port, exclusive: true }), 'listening');
}

const faultTexts: Record<number, readonly [string, string]> = {
  401: ['Unauthorized', 'Unauthorized'],
  403: ['Forbidden', 'forbidden: fault on purpose'],
  429: ['TooManyRequests', 'Too many requests, please try again later.'],
  500: ['InternalError', 'Internal error occurred: fault on purpose'],
  503: ['ServiceUnavailable', 'the server is currently unable to handle the request'],
  504: ['Timeout', 'Timeout: request did not complete within the allotted timeout'],
};

const keepAliveMillis = 5000;
