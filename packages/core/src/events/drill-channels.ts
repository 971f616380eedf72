import { EventChannel } from './channels.ts';

/** Payload of {@link drillFinished}. */
export interface DrillEvent {
  /** The Service whose switch was rehearsed. */
  readonly name: string;
  /** Whether the rehearsal kept within its thresholds. */
  readonly passed: boolean;
  /** When it was over. @defaultValue now */
  readonly at?: Date;
}

/** A switch was rehearsed, with its way back. Published by what runs the rehearsal: a drill, or a test of your own. */
export const drillFinished = new EventChannel<DrillEvent>('externalname:drill:finished');
