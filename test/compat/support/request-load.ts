import { setTimeout as sleep } from 'node:timers/promises';

/** Clients that store one order after the other over HTTP, and remember each answer. */
export class RequestLoad {
  /** How often each status came; 0 stands for a request without an answer. */
  readonly statuses = new Map<number, number>();
  readonly #url: string;
  readonly #name: string;
  readonly #clients: Promise<void>[];
  #stopping = false;

  /** Begins at once. @param url takes `{ id }` by POST */
  constructor(url: string, name: string) {
    this.#url = url;
    this.#name = name;
    this.#clients = Array.from({ length: 4 }, (_, client) => this.#store(client));
  }

  /** Waits until so many more were answered with 201. */
  async more(count: number): Promise<void> {
    const goal = this.#stored() + count;
    const deadline = performance.now() + 60_000;
    while (this.#stored() < goal) {
      if (performance.now() > deadline)
        throw new Error(`no more orders are stored: ${JSON.stringify([...this.statuses])}`);
      await sleep(20);
    }
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await Promise.all(this.#clients);
  }

  #stored(): number {
    return this.statuses.get(201) ?? 0;
  }

  async #store(client: number): Promise<void> {
    for (let count = 0; !this.#stopping; count++) {
      const status = await storeOrder(this.#url, `${this.#name}-${client}-${count}`).catch(() => 0);
      this.statuses.set(status, (this.statuses.get(status) ?? 0) + 1);
      await sleep(10);
    }
  }
}

/** Stores one order, and returns the status of the answer. */
export async function storeOrder(url: string, id: string): Promise<number> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ id }),
    signal: AbortSignal.timeout(60_000),
  });
  await response.text();
  return response.status;
}
