import { Pool } from '@externalname/pg';

// `next dev` evaluates this module again whenever a file changes, and the routes of `next build` each have a copy of it. The pool outlives both.
const kept = globalThis as typeof globalThis & { ordersDatabase?: Pool };

/** The pool of this process. It is made with the first use, so that `next build`, which loads every route, needs no environment. */
export function database(): Pool {
  kept.ordersDatabase ??= new Pool();
  return kept.ordersDatabase;
}
