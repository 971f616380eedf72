import { defineConfig } from 'tsup';
import { packageBuild } from '../../tsup.shared.ts';
import manifest from './package.json' with { type: 'json' };

// One entry for each subpath of `exports` that is published.
const subpaths = Object.values(manifest.exports).filter(
  (subpath) => typeof subpath === 'object' && 'import' in subpath,
);
const entries = subpaths.map((subpath) => subpath['@externalname/source']);
export default defineConfig(packageBuild(entries, ['dns-packet', '@leichtgewicht/ip-codec', 'ipaddr.js']));
