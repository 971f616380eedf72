import type { Options } from 'tsup';

/** How every package is built: ESM and CJS, each with its own types, from the entries that its `exports` name. */
export function packageBuild(entry: string[]): Options {
  return {
    entry,
    format: ['esm', 'cjs'],
    target: 'node20',
    platform: 'node',
    dts: true,
    clean: true,
    sourcemap: true,
    splitting: true,
    // p-retry is published as ESM only; inside the bundle it serves both formats.
    noExternal: ['p-retry', 'is-network-error'],
  };
}
