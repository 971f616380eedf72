export { createDispatcher, type DispatcherOptions, type ServiceDispatcher } from './dispatcher.ts';
export { type HttpRetryEvent, httpRetry } from './events.ts';
export type { HttpOptions } from './options.ts';
