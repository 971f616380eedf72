import * as everything from './public.ts';

// Not among those of the default export: compilers read types of another package there as values.
export type {
  BalancingOptions,
  PauseCause,
  PauseOptions,
  PauseStatus,
  ReaderOptions,
  ReplicaStatus,
  TokenReads,
} from '@externalname/core/targets';
export * from './public.ts';
// `import pg from '@externalname/pg'`, as `import pg from 'pg'`: values and types.
export { everything as default };
