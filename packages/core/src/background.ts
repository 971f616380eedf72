import { AsyncResource } from 'node:async_hooks';

/**
 * Runs work that belongs to no caller: what follows the Service, watches servers, listens. Some caller comes first and starts
 * it; in that one's async context it would show in the trace of a request that is long over, and keep all of that in memory.
 *
 * @internal
 */
export function inBackground<T>(work: () => T): T {
  return nobody.runInAsyncScope(work);
}

// Made while modules are loaded, before there is a request.
const nobody = new AsyncResource('externalname:background');
