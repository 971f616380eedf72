import type { Options } from 'tsup';

/**
 * How every package is built: ESM and CJS, each with its own types, from the entries that its `exports` name.
 *
 * The packages in `bundled` are copied into the build, and their licences into THIRD-PARTY-LICENSES. They are small, and to find, read and
 * (in an ES module) scan their files takes as long at start as all code of the package. See docs/decisions/0018-what-a-start-loads.md.
 */
export function packageBuild(entry: string[], bundled: string[] = []): Options {
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
    noExternal: bundled,
    esbuildPlugins: [builtinsOfBundled()],
    plugins: [classNames()],
  };
}

type Plugin = NonNullable<Options['esbuildPlugins']>[number];

/** The modules of Node.js that a bundled CommonJS package requires are imported: an ES module has no `require`. */
function builtinsOfBundled(): Plugin {
  return {
    name: 'builtins-of-bundled',
    setup(build) {
      build.onResolve({ filter: /^(buffer|events)$/ }, ({ path, kind }) =>
        kind === 'require-call' ? { path, namespace: 'builtin' } : undefined,
      );
      build.onLoad({ filter: /.*/, namespace: 'builtin' }, ({ path }) => ({
        contents: `export * from 'node:${path}';`,
      }));
    },
  };
}

/**
 * Gives classes their names back. esbuild writes a class that mentions itself as `var Pool = class _Pool`, and a user would see
 * `_Pool` in stack traces and when an object is printed.
 */
function classNames(): NonNullable<Options['plugins']>[number] {
  return {
    name: 'class-names',
    renderChunk(code) {
      const renamed = [...code.matchAll(/\bvar ([A-Za-z]\w*) = class _\1\b/g)].map((found) => found[1] ?? '');
      return {
        code: renamed.reduce((text, name) => text.replaceAll(new RegExp(`(?<![\\w.#])_${name}\\b`, 'g'), name), code),
      };
    },
  };
}
