import { DnsResolver, DnsTargetSource } from '@externalname/core';
import { now } from './writer-messages.ts';

/**
 * Follows the Service by polling DNS at its TTL, beside workers that are told of a switch by the API: what they would know,
 * and when, without the push. It opens no connection and asks out of turn for nothing.
 */
export class DnsPoll implements AsyncDisposable {
  readonly #resolver: DnsResolver;
  readonly #source: DnsTargetSource;
  readonly #seenAt = new Map<string, number>();
  readonly #waiting = new Set<() => void>();
  readonly #unsubscribe: () => void;

  private constructor(resolver: DnsResolver, source: DnsTargetSource) {
    this.#resolver = resolver;
    this.#source = source;
    this.#unsubscribe = source.subscribe(({ externalName }) => {
      this.#seenAt.set(externalName, now());
      for (const check of [...this.#waiting]) check();
    });
  }

  /** Begins to poll; resolves when the first answer is there. */
  static async start(nameserver: string, service: string, namespace: string): Promise<DnsPoll> {
    const resolver = new DnsResolver({ nameservers: [nameserver] });
    const poll = new DnsPoll(resolver, new DnsTargetSource({ service, namespace, resolver }));
    await poll.#source.current();
    return poll;
  }

  /** Milliseconds from `since` until it saw that host; `null` where it does not within `timeoutMillis`. */
  async sees(hostName: string, since: number, timeoutMillis: number, signal: AbortSignal): Promise<number | null> {
    const seen = () => {
      const at = this.#seenAt.get(hostName);
      return at !== undefined && at >= since ? Math.round(at - since) : undefined;
    };
    return await new Promise((resolve, reject) => {
      const finish = (settle: () => void) => {
        clearTimeout(timer);
        this.#waiting.delete(check);
        signal.removeEventListener('abort', abort);
        settle();
      };
      const check = () => {
        const millis = seen();
        if (millis !== undefined) finish(() => resolve(millis));
      };
      const abort = () => finish(() => reject(signal.reason));
      const timer = setTimeout(() => finish(() => resolve(null)), timeoutMillis);
      this.#waiting.add(check);
      signal.addEventListener('abort', abort, { once: true });
      if (signal.aborted) abort();
      else check();
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#unsubscribe();
    await this.#source.close();
    await this.#resolver.close();
  }
}
