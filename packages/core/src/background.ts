import { AsyncResource } from 'node:async_hooks';

/**
 * Runs work that belongs to no caller, such as following the Service or watching servers. Otherwise the work would run in the async
 * context of the caller that happens to start it: it would show in the trace of a finished request and keep that request in memory.
 *
 * @internal
 */
export function inBackground<T>(work: () => T): T {
  return background.runInAsyncScope(work);
}

// Made while modules are loaded, before there is a request.
const background = new AsyncResource('externalname:background');
