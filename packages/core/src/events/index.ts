export { type BackgroundFailedEvent, backgroundFailed } from './background-channels.ts';
export { EventChannel } from './channels.ts';
export { type DrillEvent, drillFinished } from './drill-channels.ts';
export {
  type AddressRefusedEvent,
  type AnswerChangedEvent,
  type AnswerIgnoredEvent,
  addressRefused,
  answerChanged,
  answerIgnored,
  type SourceDegradedEvent,
  type SourceRecoveredEvent,
  type SplitBrainEvent,
  sourceDegraded,
  sourceRecovered,
  splitBrainSeen,
  type TargetChangedEvent,
  type TargetFacts,
  type TargetRefusedEvent,
  targetChanged,
  targetRefused,
} from './target-channels.ts';
