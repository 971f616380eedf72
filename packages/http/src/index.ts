export {
  createDispatcher,
  type DispatcherOptions,
  type FetchDispatcher,
  type ServiceDispatcher,
  type ServiceDispatcherState,
} from './dispatcher.ts';
export { type HttpRetryEvent, httpRetry } from './events.ts';
export type { HttpOptions } from './options.ts';
