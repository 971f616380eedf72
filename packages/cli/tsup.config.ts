import { defineConfig } from 'tsup';
import { packageBuild } from '../../tsup.shared.ts';

// A program, not a library: it is run by Node.js and imported by nothing, so it needs neither CommonJS nor types.
export default defineConfig({ ...packageBuild(['src/bin.ts']), format: ['esm'], dts: false });
