import { defineConfig } from 'vitest/config';
import { modulesOnDisk } from './test/modules-on-disk.ts';
import { patientPolls } from './test/polls.ts';

// Servers that are elsewhere: in network namespaces, which test/site/run.ts opens around vitest.
const conditions = ['@externalname/source', 'module', 'node', 'development|production'];

export default defineConfig({
  plugins: [modulesOnDisk],
  resolve: { conditions },
  ssr: { resolve: { conditions, externalConditions: ['@externalname/source', 'node'] } },
  test: {
    name: 'site',
    isolate: false,
    experimental: { fsModuleCache: true },
    include: ['test/site/**/*.test.ts'],
    // The real parts are there where somebody has built them, see test/controlplane.
    exclude: ['**/node_modules/**', ...(process.env['KUBEBUILDER_ASSETS'] ? [] : ['test/site/real/**'])],
    // All files have the same addresses.
    fileParallelism: false,
    expect: patientPolls,
    // Some tests open a site of their own.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    // As in vitest.config.ts.
    retry: Number(process.env['TEST_RETRIES'] ?? 0),
  },
});
