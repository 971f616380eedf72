import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Writable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { codeBlocks } from '../docs/code-blocks.ts';

const blocks = codeBlocks(['js', 'sh', 'text']).filter(({ page }) => page === 'docs/guides/first-hour.md');
// What comes before needs a registry, or a terminal: from-a-clone.md and demo.md have tests of their own.
const walk = blocks.slice(blocks.findIndex(({ code }) => code.startsWith('// servers.mjs')));

describe('the first hour, as the guide walks it', () => {
  let folder: string;
  let servers: Program | undefined;
  const environment: Record<string, string> = {};

  beforeAll(async () => {
    // Below this folder, so that the programs find the packages.
    folder = await mkdtemp(join(import.meta.dirname, '.first-hour-'));
  });
  afterAll(async () => {
    servers?.input.end();
    await servers?.ended;
    await rm(folder, { recursive: true, force: true });
  });

  it.each(walk.map((block, index) => ({ ...block, next: walk[index + 1] })))(
    'line $line',
    async ({ next, ...block }) => {
      if (block.language === 'text') return;
      if (block.language === 'js') {
        const [name = ''] = block.code.replace('// ', '').split('\n');
        return await writeFile(join(folder, name), block.code);
      }
      for (const [, name = '', value = ''] of block.code.matchAll(/^export (\w+)=(.*)$/gm)) environment[name] = value;
      const program = new Program(block.code, folder, environment);
      if (block.code.includes('servers.mjs')) {
        servers = program;
        await program.says(next?.code.trim() ?? '');
        return;
      }
      if (block.code.includes('orders.mjs')) {
        await program.says('order 3:');
        servers?.input.write('\n');
      }
      await program.ended;
      expect(next?.language).toBe('text');
      compare(next?.code ?? '', program.heard);
    },
  );
});

/** A block of commands that runs. */
class Program {
  readonly input: Writable;
  readonly ended: Promise<unknown>;
  /** What it has printed so far. */
  heard = '';

  constructor(script: string, cwd: string, environment: Record<string, string>) {
    const { NODE_OPTIONS: _, VITEST: __, ...env } = process.env;
    const flags = { NO_COLOR: '1', NODE_OPTIONS: '--conditions=@externalname/source --import tsx' };
    const child = spawn('sh', ['-c', script], { cwd, env: { ...env, ...environment, ...flags } });
    this.input = child.stdin;
    this.ended = once(child, 'close');
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (bytes: Buffer) => {
        this.heard += bytes;
      });
    }
  }

  async says(words: string): Promise<void> {
    await expect.poll(() => this.heard, { timeout: 60_000 }).toContain(words);
  }
}

/**
 * Whether the page shows lines of the output in their order: all of them, but for what `...` stands for. Whether a statement
 * is in flight when a server dies is a matter of chance.
 */
function compare(shown: string, output: string): void {
  const lines = output.split('\n').map(withoutChance);
  let at = 0;
  for (const line of shown.split('\n').map(withoutChance)) {
    if (line === '' || line === '...' || line.includes('outcome unknown')) continue;
    const found = lines.indexOf(line, at);
    expect(found === -1 ? `${line}\n is not in\n${output}` : '').toBe('');
    at = found + 1;
  }
}

/** A line without what is another one each time: processes, ports, times, counts. */
function withoutChance(line: string): string {
  return line
    .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, '<time>')
    .replace(/127(\.\d+){3}(:\d+)?/g, '<address>')
    .replace(/(version[:=] ?)'?\w{16}'?/, '$1<version>')
    .replace(/([mM]illis=|\(|order |count: |process |node:)\d+(\.\d+)?( ms, \d+ times)?/g, '$1<number>')
    .trimEnd();
}
