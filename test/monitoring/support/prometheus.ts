import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** One series of an answer of Prometheus. */
export interface Series {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: readonly [number, string];
  readonly values: readonly (readonly [number, string])[];
}

/** A real Prometheus that scrapes one service and evaluates rules, each second. */
export class Prometheus implements AsyncDisposable {
  readonly #address: string;
  readonly #end: () => Promise<void>;

  private constructor(address: string, end: () => Promise<void>) {
    this.#address = address;
    this.#end = end;
  }

  /** @param rules the text of a rule file */
  static async start(target: string, rules: string): Promise<Prometheus> {
    const folder = await mkdtemp(join(tmpdir(), 'externalname-prometheus-'));
    await writeFile(join(folder, 'rules.yaml'), rules);
    const configuration = {
      global: { scrape_interval: '1s', evaluation_interval: '1s' },
      rule_files: [join(folder, 'rules.yaml')],
      scrape_configs: [{ job_name: 'service', static_configs: [{ targets: [target] }] }],
    };
    // JSON is YAML.
    await writeFile(join(folder, 'prometheus.yaml'), JSON.stringify(configuration));
    const address = `127.0.0.1:${await freePort()}`;
    const child = spawn(
      'prometheus',
      [
        `--config.file=${join(folder, 'prometheus.yaml')}`,
        `--storage.tsdb.path=${join(folder, 'data')}`,
        `--web.listen-address=${address}`,
      ],
      { stdio: 'ignore' },
    );
    const exited = once(child, 'exit');
    const end = async () => {
      child.kill('SIGTERM');
      const killed = setTimeout(() => child.kill('SIGKILL'), 10_000);
      await exited;
      clearTimeout(killed);
      await rm(folder, { recursive: true, force: true });
    };
    try {
      await untilReady(`http://${address}/-/ready`);
    } catch (error) {
      await end();
      throw error;
    }
    return new Prometheus(address, end);
  }

  /** An instant query of the HTTP API. */
  query(query: string): Promise<readonly Series[]> {
    return this.#get('query', { query });
  }

  /** A range query of the HTTP API: the last `seconds`, one value a second. */
  range(query: string, seconds: number): Promise<readonly Series[]> {
    const now = Date.now() / 1_000;
    return this.#get('query_range', { query, start: String(now - seconds), end: String(now), step: '1' });
  }

  /** The names of the alerts that fire now. */
  async firing(): Promise<readonly string[]> {
    const series = await this.query('ALERTS{alertstate="firing"}');
    return [...new Set(series.map(({ metric }) => metric['alertname'] ?? ''))].sort();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#end();
  }

  async #get(what: string, parameters: Readonly<Record<string, string>>): Promise<readonly Series[]> {
    const answer = await fetch(`http://${this.#address}/api/v1/${what}?${new URLSearchParams(parameters)}`, {
      signal: AbortSignal.timeout(10_000),
    });
    const { status, data, error } = (await answer.json()) as {
      status: string;
      error?: string;
      data: { result: readonly Series[] };
    };
    if (status !== 'success') throw new Error(`Prometheus refused ${JSON.stringify(parameters)}: ${error}`);
    return data.result;
  }
}

async function untilReady(url: string): Promise<void> {
  const until = Date.now() + 30_000;
  for (;;) {
    const answer = await fetch(url, { signal: AbortSignal.timeout(2_000) }).catch(() => undefined);
    if (answer?.ok) return;
    if (Date.now() > until) throw new Error('Prometheus was not ready within 30 s');
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port is free');
  return address.port;
}
