import { defineConfig } from 'vitest/config';
import { patientPolls } from './test/polls.ts';

// The libraries that use pg, each on real servers that are killed and switched. Apart from the other projects, because it takes
// minutes, and because what it needs is the business of others.
const conditions = ['@externalname/source', 'node', 'development|production'];

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions, externalConditions: ['@externalname/source', 'node'] } },
  test: {
    name: 'compat',
    include: ['test/compat/**/*.test.ts'],
    // Each file runs two PostgreSQL servers.
    maxWorkers: 2,
    expect: patientPolls,
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
