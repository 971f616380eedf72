import { type ChildProcess, spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import type { Readable, Writable } from 'node:stream';

/** The Chromium of this machine, by `CHROMIUM` or on the path; undefined if there is none. */
export const chromium: string | undefined =
  process.env['CHROMIUM'] ?? onPath(['chromium', 'chromium-browser', 'google-chrome']);

/** How a page is looked at. */
export interface Look {
  readonly width: number;
  readonly scheme: 'light' | 'dark';
}

/** What a page looks like. */
export interface Seen {
  /** PNG of the whole page. */
  readonly picture: Buffer;
  /** How wide the page is; more than the window means that it scrolls sideways. */
  readonly scrollWidth: number;
  /** The value of an expression in the page. */
  readonly value: unknown;
  /** Requests that the page has made, apart from the one for itself. */
  readonly requests: readonly string[];
}

/**
 * A headless Chromium, spoken to over a pipe (Chrome DevTools Protocol). Its profile is a folder of its own, and is gone when it is closed.
 */
export class Browser implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #profile: string;
  readonly #answers = new Map<number, { resolve: (value: never) => void; reject: (error: Error) => void }>();
  readonly #listeners = new Set<(method: string, params: Record<string, unknown>) => void>();
  #next = 1;

  private constructor(child: ChildProcess, profile: string) {
    this.#child = child;
    this.#profile = profile;
    let rest = '';
    (child.stdio[4] as Readable).setEncoding('utf8').on('data', (text: string) => {
      const parts = `${rest}${text}`.split('\0');
      rest = parts.pop() ?? '';
      for (const part of parts) this.#hear(JSON.parse(part));
    });
    child.once('exit', () => {
      for (const { reject } of this.#answers.values()) reject(new Error('Chromium has ended'));
    });
  }

  static async start(program: string): Promise<Browser> {
    const profile = await mkdtemp(join(tmpdir(), 'externalname-chromium-'));
    // Without a sandbox: containers and root have none, and the page is ours.
    const flags = [
      '--headless=new',
      '--no-sandbox',
      '--disable-gpu',
      '--hide-scrollbars',
      '--remote-debugging-pipe',
      `--user-data-dir=${profile}`,
    ];
    return new Browser(spawn(program, flags, { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] }), profile);
  }

  /** Opens a file, looks at it, and evaluates an expression in it. */
  async look(file: string, { width, scheme }: Look, expression: string): Promise<Seen> {
    const { targetId } = await this.#send<{ targetId: string }>('Target.createTarget', { url: 'about:blank' });
    const { sessionId } = await this.#send<{ sessionId: string }>('Target.attachToTarget', { targetId, flatten: true });
    const send = <Result>(method: string, params: object = {}) => this.#send<Result>(method, params, sessionId);
    const requests: string[] = [];
    let loaded = () => {};
    const loading = new Promise<void>((resolve) => {
      loaded = resolve;
    });
    const listen = (method: string, params: Record<string, unknown>) => {
      if (method === 'Network.requestWillBeSent') requests.push(String((params['request'] as { url: string }).url));
      if (method === 'Page.loadEventFired') loaded();
    };
    this.#listeners.add(listen);
    try {
      await Promise.all([send('Page.enable'), send('Network.enable'), send('Runtime.enable')]);
      await send('Emulation.setDeviceMetricsOverride', { width, height: 800, deviceScaleFactor: 1, mobile: false });
      await send('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value: scheme }] });
      await send('Page.navigate', { url: `file://${file}` });
      await loading;
      const evaluated = await send<{ result: { value: unknown } }>('Runtime.evaluate', {
        expression,
        returnByValue: true,
      });
      const { cssContentSize } = await send<{ cssContentSize: { width: number; height: number } }>(
        'Page.getLayoutMetrics',
      );
      const { data } = await send<{ data: string }>('Page.captureScreenshot', {
        captureBeyondViewport: true,
        clip: { x: 0, y: 0, width, height: cssContentSize.height, scale: 1 },
      });
      return {
        picture: Buffer.from(data, 'base64'),
        scrollWidth: cssContentSize.width,
        value: evaluated.result.value,
        requests: requests.filter((url) => url !== `file://${file}`),
      };
    } finally {
      this.#listeners.delete(listen);
      await this.#send('Target.closeTarget', { targetId });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const ended = new Promise((resolve) => this.#child.once('exit', resolve));
      // Its other processes write into the profile until the first one has told them to end.
      this.#send('Browser.close', {}).catch(() => undefined);
      const timer = setTimeout(() => this.#child.kill('SIGKILL'), 10_000);
      await ended;
      clearTimeout(timer);
    }
    await rm(this.#profile, { recursive: true, force: true, maxRetries: 5 });
  }

  #send<Result>(method: string, params: object, sessionId?: string): Promise<Result> {
    const id = this.#next++;
    const answer = new Promise<Result>((resolve, reject) => this.#answers.set(id, { resolve, reject }));
    (this.#child.stdio[3] as Writable).write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
    return answer;
  }

  #hear(message: {
    id?: number;
    method?: string;
    params?: Record<string, unknown>;
    result?: never;
    error?: { message: string };
  }): void {
    if (message.id === undefined) {
      for (const listen of this.#listeners) listen(message.method ?? '', message.params ?? {});
      return;
    }
    const waiting = this.#answers.get(message.id);
    this.#answers.delete(message.id);
    if (message.error !== undefined) waiting?.reject(new Error(message.error.message));
    else waiting?.resolve(message.result as never);
  }
}

function onPath(names: readonly string[]): string | undefined {
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  return names
    .flatMap((name) => folders.map((folder) => join(folder, name)))
    .find((file) => {
      try {
        accessSync(file, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}
