import { mkdir, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

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
 * the loader as well: tsx wraps each function that is made, to keep its name. All entries of a package are built at once, because they share modules.
 *
 * @param folder where {@link buildPackages} has built it already
 */
export async function builtPackage<Name extends keyof Built>(entry: Name, folder?: string): Promise<Built[Name]> {
  const [name = '', file = 'index'] = entry.split('/');
  const built = loaded.get(name) ?? load(name, folder);
  loaded.set(name, built);
  return (await built)[file] as Built[Name];
}

/** Builds packages for the processes of a benchmark. */
export async function buildPackages<Name extends 'core' | 'pg' | 'prometheus'>(...names: readonly Name[]) {
  const folders: Record<string, string> = {};
  const dispose = async () => {
    for (const folder of Object.values(folders)) await rm(folder, { recursive: true, force: true });
  };
  try {
    for (const name of names) folders[name] = await buildOf(name);
  } catch (error) {
    await dispose();
    throw error;
  }
  return { folders: folders as Readonly<Record<Name, string>>, [Symbol.asyncDispose]: dispose };
}

async function load(name: string, given?: string): Promise<Readonly<Record<string, unknown>>> {
  const folder = given ?? (await buildOf(name));
  try {
    const require = createRequire(import.meta.url);
    return Object.fromEntries(filesOf(name).map((file) => [file, require(join(folder, `${file}.cjs`))]));
  } finally {
    if (given === undefined) await rm(folder, { recursive: true, force: true });
  }
}

/** Returns the folder of its build. */
async function buildOf(name: string): Promise<string> {
  const folder = fileURLToPath(new URL(`../../packages/${name}`, import.meta.url));
  // Here, because a process that only loads a build is measured without it.
  const { build } = await import('tsup');
  // In the package's folder, because what is not bundled must be found from there.
  const outDir = join(folder, 'node_modules', '.bench', String(process.pid));
  await mkdir(outDir, { recursive: true });
  try {
    await build({
      entry: filesOf(name).map((file) => join(folder, `src/${file}.ts`)),
      outDir,
      format: 'cjs',
      target: 'node20',
      platform: 'node',
      shims: true,
      splitting: true,
      treeshake: true,
      config: false,
      silent: true,
      external: peers,
      noExternal: [new RegExp(`^(?!(${peers.join('|')})$)`)],
      esbuildOptions: (options) => {
        options.conditions = ['@externalname/source'];
      },
    });
    return outDir;
  } catch (error) {
    await rm(outDir, { recursive: true, force: true });
    throw error;
  }
}

function filesOf(name: string): readonly string[] {
  return entries.filter((entry) => entry.split('/')[0] === name).map((entry) => entry.split('/')[1] ?? 'index');
}

const loaded = new Map<string, Promise<Readonly<Record<string, unknown>>>>();
const entries = [
  'core',
  'pg',
  'prometheus',
  'prometheus/metric-producer',
  'prometheus/opentelemetry',
] as const satisfies readonly (keyof Built)[];
const peers = ['pg', 'prom-client', '@opentelemetry/api', '@opentelemetry/sdk-metrics'];
