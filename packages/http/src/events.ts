import { EventChannel } from '@externalname/core/events';

/** A request is sent again. Channel `externalname:http:retry`. */
export interface HttpRetryEvent {
  /** The Service, as it was given. */
  readonly name: string;
  /** The method of the request. */
  readonly method: string;
  /** How often it was sent before. From 0: a request that was never sent only changes its way. */
  readonly sent: number;
  /** Why it is sent again. */
  readonly error: unknown;
}

/** Told each time that a request is sent again, or goes to another target than it waited for. */
export const httpRetry = new EventChannel<HttpRetryEvent>('externalname:http:retry');
