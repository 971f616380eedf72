import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Plugin } from 'vitest/config';

const packages = join(import.meta.dirname, '../packages');
const exports = createHash('sha1');
for (const name of readdirSync(packages)) exports.update(readFileSync(join(packages, name, 'package.json')));
const key = exports.digest('hex');

/**
 * Completes the keys of `fsModuleCache`, with which vitest keeps transformed modules in node_modules/.experimental-vitest-cache: they name the
 * module, its text, the configuration and vitest, and a change of the lockfile empties the folder. What a module imports is resolved in what is
 * kept, by the exports of our packages: so they belong to the key, too.
 */
export const modulesOnDisk: Plugin = {
  name: 'externalname:modules-on-disk',
  configureVitest: (context) => context.experimental_defineCacheKeyGenerator(() => key),
};
