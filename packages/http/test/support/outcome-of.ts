import type { Readable } from 'node:stream';
import { type Dispatcher, request } from 'undici';

/** The body of the answer, or the error. */
export async function outcomeOf(
  dispatcher: Dispatcher,
  url: string,
  options: { method: Dispatcher.HttpMethod; body?: string | Buffer | Readable | null; signal?: AbortSignal },
): Promise<{ readonly answer?: string; readonly error?: Error & { code?: string; outcome?: string } }> {
  try {
    const { body } = await request(url, { dispatcher, ...options });
    return { answer: await body.text() };
  } catch (error) {
    return { error: error as Error };
  }
}
