import { defineConfig } from 'vitest/config';
import { modulesOnDisk } from './test/modules-on-disk.ts';
import { patientPolls } from './test/polls.ts';

// Packages see each other's sources, so that no build comes before a test.
const conditions = ['@externalname/source', 'node', 'development|production'];
const sources = {
  plugins: [modulesOnDisk],
  resolve: { conditions },
  ssr: { resolve: { conditions, externalConditions: ['@externalname/source', 'node'] } },
};

// What kills and rebuilds servers again and again: not for every save of a file. `pnpm test:long` runs it, and CI.
const long = '{packages/*/test,test/{acceptance,docs,input}}/**/*.long.test.ts';

// They replace modules that others need as they are.
const replacing = [
  'packages/core/src/dns/lookup.test.ts',
  'packages/pg/src/driver/supported-pg.test.ts',
  'packages/testing/src/postgres/unprivileged-account.test.ts',
];

// Servers are late now and then on a machine that others use as well. CI tries such a test a second time (TEST_RETRIES=1), and says so; at one's desk
// it fails, so that it is seen.
const retry = Number(process.env['TEST_RETRIES'] ?? 0);

export default defineConfig({
  test: {
    experimental: { fsModuleCache: true },
    // The machine of a contributor may have two cores, and integration tests start PostgreSQL.
    maxWorkers: 4,
    projects: [
      {
        ...sources,
        test: {
          name: 'unit',
          // The files of a worker share their modules: to load them again for each file takes as long as the tests themselves.
          isolate: false,
          // Property tests count in thousands, and a machine may be busy.
          expect: patientPolls,
          testTimeout: 30_000,
          include: [
            'packages/*/src/**/*.test.ts',
            'examples/*/src/**/*.test.ts',
            'test/{rooms,docs,workspace,package,input}/**/*.test.ts',
          ],
          exclude: [long, '**/node_modules/**', ...replacing],
        },
      },
      { ...sources, test: { name: 'unit-isolated', expect: patientPolls, testTimeout: 30_000, include: replacing } },
      {
        ...sources,
        test: {
          name: 'integration',
          isolate: false,
          include: ['packages/*/test/**/*.test.ts'],
          exclude: [long, '**/node_modules/**'],
          expect: patientPolls,
          testTimeout: 30_000,
          hookTimeout: 60_000,
          retry,
        },
      },
      {
        ...sources,
        test: {
          name: 'acceptance',
          isolate: false,
          include: ['test/acceptance/**/*.test.ts'],
          exclude: [long, '**/node_modules/**'],
          expect: patientPolls,
          testTimeout: 120_000,
          hookTimeout: 60_000,
          retry,
        },
      },
      {
        ...sources,
        test: {
          name: 'long',
          include: [long],
          exclude: ['**/node_modules/**'],
          expect: patientPolls,
          testTimeout: 120_000,
          hookTimeout: 120_000,
          retry,
        },
      },
    ],
  },
});
