import { EventChannel } from './channels.ts';

/** Payload of {@link backgroundFailed}. */
export interface BackgroundFailedEvent {
  /** The work that failed: `calling a listener for targets`, `discarding a connection`. */
  readonly what: string;
  /** What was thrown. */
  readonly error: unknown;
}

/**
 * The one place that reports failures which no caller waits for, such as a listener that throws or a connection that could
 * not be discarded. They stop nothing. Subscribe to see them.
 */
export const backgroundFailed = new EventChannel<BackgroundFailedEvent>('externalname:background:failed');
