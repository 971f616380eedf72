import { mkdir, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'tsup';

/** What a benchmark measures as users get it. */
interface Built {
  readonly core: typeof import('@externalname/core');
  readonly pg: typeof import('@externalname/pg');
  readonly prometheus: typeof import('@externalname/prometheus');
  readonly 'prometheus/metric-producer': typeof import('@externalname/prometheus/metric-producer');
  readonly 'prometheus/opentelemetry': typeof import('@externalname/prometheus/opentelemetry');
}

/**
 * A package, or one of its entries, as its build makes it, from the sources as they are now. A benchmark that runs the sources through a loader measures
 * the loader as well: tsx wraps each function that is made, to keep its name.
 */
export async function builtPackage<Name extends keyof Built>(entry: Name): Promise<Built[Name]> {
  const [name = '', file = 'index'] = entry.split('/');
  const folder = fileURLToPath(new URL(`../../packages/${name}`, import.meta.url));
  // In the package's folder, because what is not bundled must be found from there.
  const outDir = join(folder, 'node_modules', '.bench', String(process.pid), file);
  await mkdir(outDir, { recursive: true });
  try {
    await build({
      entry: [join(folder, `src/${file}.ts`)],
      outDir,
      format: 'cjs',
      target: 'node20',
      platform: 'node',
      shims: true,
      config: false,
      silent: true,
      external: peers,
      noExternal: [new RegExp(`^(?!(${peers.join('|')})$)`)],
      esbuildOptions: (options) => {
        options.conditions = ['@externalname/source'];
      },
    });
    return createRequire(import.meta.url)(join(outDir, `${file}.cjs`)) as Built[Name];
  } finally {
    await rm(outDir, { recursive: true, force: true });
  }
}

const peers = ['pg', 'prom-client', '@opentelemetry/api', '@opentelemetry/sdk-metrics'];
