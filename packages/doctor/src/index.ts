export { type Diagnosis, diagnose, findingCodes } from './diagnose/diagnose.ts';
export type { LookedAt } from './diagnose/looked-at.ts';
export type { DiagnoseOptions, KubectlOptions } from './diagnose/options.ts';
export type {
  AccessFacts,
  Asked,
  DnsFacts,
  EndpointFacts,
  Facts,
  Failed,
  HttpFacts,
  PolicyFacts,
  Protocol,
  ServiceFacts,
  TlsFacts,
} from './facts/facts.ts';
export type { PostgresLogin } from './facts/gather.ts';
export { type Finding, isCommand, type Severity } from './findings/finding.ts';
export type { Distribution } from './names/distribution.ts';
export { describeAnswer, type NameAnswer } from './names/name-answer.ts';
export type { NameserverOptions } from './names/nameservers.ts';
export {
  type MeasuredName,
  type MeasureNameOptions,
  measureName,
  type NameMeasurement,
  type NameTrace,
  type TraceNameOptions,
  traceName,
  type WatchedAnswer,
  type WatchNameOptions,
  watchName,
} from './names/trace-name.ts';
export type { Sight, SightedSource } from './sights/sights.ts';
export { type WatchServiceOptions, watchService } from './sights/watch-service.ts';
export { type ExplainErrorOptions, explainError } from './symptoms/symptoms.ts';
