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
    // What is built keeps its names and says from which file it came: a map would be larger than what it maps.
    minify: false,
    sourcemap: false,
    splitting: true,
    // By Rollup, which also makes the CJS chunks: it keeps `import()`, which tsup's own way loses.
    treeshake: true,
    removeNodeProtocol: false,
    // `import.meta.url` has a meaning in the CJS build too.
    shims: true,
    noExternal: [...esmOnly],
    esbuildPlugins: [importedByEsm()],
  };
}

/**
 * Published as ESM only. The ESM build imports them, as any dependency; the CJS build carries a copy, because Jest
 * and other loaders of their own can not require ES modules. Their licences stand in THIRD-PARTY-LICENSES.
 */
const esmOnly = ['p-retry', 'is-network-error'] as const;

type Plugin = NonNullable<Options['esbuildPlugins']>[number];

function importedByEsm(): Plugin {
  return {
    name: 'imported-by-esm',
    setup(build) {
      // tsup asks esbuild for ESM in both builds when it splits chunks; this constant is what tells them apart.
      if (build.initialOptions.define?.['TSUP_FORMAT'] !== '"esm"') return;
      build.onResolve({ filter: new RegExp(`^(${esmOnly.join('|')})$`) }, ({ path }) => ({ path, external: true }));
    },
  };
}
