import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort, startProgram } from './programs.ts';

/** One series of an answer of Prometheus. */
export interface Series {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: readonly [number, string];
  readonly values: readonly (readonly [number, string])[];
}

/** A real Prometheus that scrapes and evaluates rules, each second. */
export class Prometheus implements AsyncDisposable {
  readonly #address: string;
  readonly #end: () => Promise<void>;

  private constructor(address: string, end: () => Promise<void>) {
    this.#address = address;
    this.#end = end;
  }

  /**
   * @param jobs what is scraped, by its name: `host:port`
   * @param rules the text of a rule file
   */
  static async start(jobs: Readonly<Record<string, string>>, rules: string): Promise<Prometheus> {
    const folder = await mkdtemp(join(tmpdir(), 'externalname-prometheus-'));
    await writeFile(join(folder, 'rules.yaml'), rules);
    const configuration = {
      global: { scrape_interval: '1s', evaluation_interval: '1s' },
      rule_files: [join(folder, 'rules.yaml')],
      scrape_configs: Object.entries(jobs).map(([job, target]) => ({
        job_name: job,
        static_configs: [{ targets: [target] }],
      })),
    };
    // JSON is YAML.
    await writeFile(join(folder, 'prometheus.yaml'), JSON.stringify(configuration));
    const address = `127.0.0.1:${await freePort()}`;
    const end = await startProgram(
      'prometheus',
      [
        `--config.file=${join(folder, 'prometheus.yaml')}`,
        `--storage.tsdb.path=${join(folder, 'data')}`,
        `--web.listen-address=${address}`,
      ],
      `http://${address}/-/ready`,
    );
    return new Prometheus(address, async () => {
      await end();
      await rm(folder, { recursive: true, force: true });
    });
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
