import { defineConfig } from 'vitest/config';
import { patientPolls } from './test/polls.ts';

// The engines themselves: Patroni, pg_auto_failover, real PostgreSQL, and a real kube-apiserver with the CRD of CloudNativePG. Apart from the other
// projects, because each file starts clusters of its own. `node test/engines/install.mjs` and `node test/controlplane/build.mjs` print what to export.
const conditions = ['@externalname/source', 'module', 'node', 'development|production'];

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions, externalConditions: ['@externalname/source', 'node'] } },
  test: {
    name: 'engines',
    include: ['test/engines/**/*.test.ts'],
    fileParallelism: false,
    expect: patientPolls,
    testTimeout: 120_000,
    hookTimeout: 180_000,
  },
});
