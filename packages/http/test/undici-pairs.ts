// Which undici, and which built-in `fetch`, a dispatcher serves on this version of Node.js: `pnpm test:node <version>` runs it.
import assert from 'node:assert/strict';
import { createDispatcher } from '../src/index.ts';
import { startWebscalerManual } from './support/webscaler-manual.ts';

interface Undici {
  request(url: string, options: object): Promise<{ body: { json(): Promise<unknown> } }>;
  fetch(url: string, options: object): Promise<{ json(): Promise<unknown> }>;
}

// Loading this package leaves the `fetch` of the process as it is. Loading all of undici does not.
const claimed = Object.getOwnPropertySymbols(globalThis)
  .filter((symbol) => String(symbol).includes('undici'))
  .map((symbol) => (globalThis as unknown as Record<symbol, unknown>)[symbol]);
const { Agent } = await import('undici');
assert.equal(claimed.filter((dispatcher) => dispatcher instanceof Agent).length, 0);

await using manual = await startWebscalerManual();
const url = `https://webscaler-manual:${manual.port}/anything`;
// undici 8 needs Node.js 22.
const names =
  Number(process.versions.node.split('.')[0]) >= 22 ? ['undici6', 'undici', 'undici8'] : ['undici6', 'undici'];
let pairs = 0;

for (const allowH2 of [false, true]) {
  await using dispatcher = createDispatcher({ ...manual.options(), allowH2 });
  const expected = { server: 'httpbin-a.example.com', body: 'x', version: allowH2 ? '2.0' : '1.1' };
  const check = (answer: unknown) => {
    const { server, body, version } = answer as typeof expected;
    assert.deepEqual({ server, body, version }, expected);
    pairs += 1;
  };
  // With and without a Content-Length of the caller, which some fetches repeat.
  for (const headers of [{}, { 'content-length': '1' }]) {
    const options = { method: 'POST', body: 'x', headers, dispatcher };
    check(await (await fetch(url, options)).json());
    for (const name of names) {
      const undici = (await import(name)) as Undici;
      check(await (await undici.request(url, options)).body.json());
      check(await (await undici.fetch(url, options)).json());
    }
  }
}
console.log(
  `node ${process.version} (undici ${process.versions['undici']}): ${pairs} combinations of caller, headers and protocol are served`,
);
