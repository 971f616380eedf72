import type { Dispatcher } from 'undici';
import { util } from './undici-parts.ts';

/**
 * What a dispatcher tells of one request, in the form that `fetch` of Node.js 20 to 24 and undici 6 speak, and undici 7 beside its own: the
 * headers as they came.
 */
export interface LegacyHandler {
  onConnect?(abort: (reason?: Error) => void, context?: unknown): void;
  onUpgrade?(statusCode: number, headers: Buffer[] | string[] | null, socket: unknown): void;
  onResponseStarted?(): void;
  onHeaders?(statusCode: number, headers: Buffer[], resume: () => void, statusText: string): boolean | undefined;
  onData?(chunk: Buffer): boolean | undefined;
  onComplete?(trailers: string[] | null): void;
  onError?(error: Error): void;
  onBodySent?(chunk: unknown, total?: number): void;
  onRequestSent?(): void;
}

/** Whatever a caller hands in, in the one form. Which of the two it is, undici tells by the same property. */
export function legacyHandler(handler: Dispatcher.DispatchHandler): LegacyHandler {
  return typeof handler.onRequestStart === 'function' ? new Translated(handler) : (handler as LegacyHandler);
}

/** A handler of undici 8 and of `fetch` of Node.js 26, which wants to steer a controller and read headers as an object. */
class Translated implements LegacyHandler {
  readonly #handler: Dispatcher.DispatchHandler;
  #controller: Controller | undefined;

  constructor(handler: Dispatcher.DispatchHandler) {
    this.#handler = handler;
  }

  onConnect(abort: (reason?: Error) => void, context: unknown): void {
    this.#controller = new Controller(abort);
    this.#handler.onRequestStart?.(this.#controller, context);
  }

  onUpgrade(
    statusCode: number,
    headers: Buffer[],
    socket: Parameters<NonNullable<Dispatcher.DispatchHandler['onRequestUpgrade']>>[3],
  ): void {
    const controller = this.#started;
    controller.rawHeaders = headers;
    this.#handler.onRequestUpgrade?.(controller, statusCode, util.parseHeaders(headers), socket);
  }

  onHeaders(statusCode: number, headers: Buffer[], resume: () => void, statusText: string): boolean {
    const controller = this.#started;
    controller.onResume = resume;
    controller.rawHeaders = headers;
    this.#handler.onResponseStart?.(controller, statusCode, util.parseHeaders(headers), statusText);
    return !controller.paused;
  }

  onData(chunk: Buffer): boolean {
    const controller = this.#started;
    this.#handler.onResponseData?.(controller, chunk);
    return !controller.paused;
  }

  onComplete(trailers: string[] | null): void {
    const raw = (trailers ?? []) as unknown as Buffer[];
    this.#started.rawTrailers = raw;
    this.#handler.onResponseEnd?.(this.#started, util.parseHeaders(raw));
  }

  onError(error: Error): void {
    this.#handler.onResponseError?.(this.#started, error);
  }

  onBodySent(chunk: unknown): void {
    (this.#handler as LegacyHandler).onBodySent?.(chunk);
  }

  onRequestSent(): void {
    (this.#handler as LegacyHandler).onRequestSent?.();
  }

  onResponseStarted(): void {
    (this.#handler as LegacyHandler).onResponseStarted?.();
  }

  get #started(): Controller {
    this.#controller ??= new Controller(() => undefined);
    return this.#controller;
  }
}

class Controller implements Dispatcher.DispatchController {
  aborted = false;
  paused = false;
  reason: Error | null = null;
  rawHeaders: Buffer[] | null = null;
  rawTrailers: Buffer[] | null = null;
  onResume: (() => void) | undefined;
  readonly #abort: (reason?: Error) => void;

  constructor(abort: (reason?: Error) => void) {
    this.#abort = abort;
  }

  abort(reason: Error): void {
    if (this.aborted) return;
    this.aborted = true;
    this.reason = reason;
    this.#abort(reason);
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    if (!this.paused) return;
    this.paused = false;
    this.onResume?.();
  }
}
