import { defineConfig } from 'vitest/config';
import { patientPolls } from './test/polls.ts';

// A real Prometheus scrapes the example service. Apart from the other projects, because it needs Debian's package `prometheus`.
const conditions = ['@externalname/source', 'node', 'development|production'];

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions, externalConditions: ['@externalname/source', 'node'] } },
  test: {
    name: 'monitoring',
    include: ['test/monitoring/**/*.test.ts'],
    maxWorkers: 2,
    expect: patientPolls,
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
