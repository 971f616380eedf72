// The API of every package as Markdown, from its TSDoc: one page for each entry of `exports`. Written to dist/api, from where the site takes it.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { Application } from 'typedoc';

const packages = resolve(import.meta.dirname, '../../packages');
const entries = readdirSync(packages).flatMap(entriesOf);
const names = new Map(
  entries.map(({ name, source }) => [
    relative(packages, source)
      .replace(/\.ts$/, '')
      .replace(/\/index$/, ''),
    name,
  ]),
);

const application = await Application.bootstrapWithPlugins({
  plugin: ['typedoc-plugin-markdown'],
  tsconfig: resolve(import.meta.dirname, '../../tsconfig.json'),
  entryPoints: entries.map(({ source }) => source),
  router: 'module',
  out: join(import.meta.dirname, 'dist/api'),
  name: 'API',
  readme: 'none',
  entryFileName: 'index',
  cleanOutputDir: true,
  disableSources: true,
  excludeInternal: true,
  excludePrivate: true,
  excludeExternals: true,
  // `pnpm types` has checked them.
  skipErrorChecking: true,
  hidePageHeader: true,
  hideBreadcrumbs: true,
  useCodeBlocks: true,
  logLevel: 'Error',
});
const project = await application.convert();
if (project === undefined) throw new Error('TypeDoc found nothing to document');
// TypeDoc names a module by its file.
for (const module of project.children ?? []) module.name = names.get(module.name) ?? module.name;
await application.generateOutputs(project);

/** What a package is imported by, apart from what is for its siblings alone. */
function entriesOf(folder) {
  const file = join(packages, folder, 'package.json');
  if (!existsSync(file)) return [];
  const { name, exports = {} } = JSON.parse(readFileSync(file, 'utf8'));
  return Object.entries(exports).flatMap(([path, conditions]) => {
    const source = conditions['@externalname/source'];
    if (typeof source !== 'string' || /internal/.test(path)) return [];
    return [{ name: join(name, path), source: join(packages, folder, source) }];
  });
}
