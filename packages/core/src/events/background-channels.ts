import { EventChannel } from './channels.ts';

/** Payload of {@link backgroundFailed}. */
export interface BackgroundFailedEvent {
  /** What was being done: `calling a listener for targets`, `discarding a connection`. */
  readonly what: string;
  /** What was thrown. */
  readonly error: unknown;
}

/**
 * The one place where failures go that no caller waits for: a listener that throws, a connection that could
 * not be thrown away. They stop nothing; whoever wants to know of them subscribes.
 */
export const backgroundFailed = new EventChannel<BackgroundFailedEvent>('externalname:background:failed');
