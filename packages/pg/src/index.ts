import * as everything from './public.ts';

export * from './public.ts';
// `import pg from '@externalname/pg'`, as `import pg from 'pg'`: values and types.
export { everything as default };
