import {
  aBoolean,
  aFunction,
  aNumber,
  anObjectWith,
  anything,
  aSignal,
  aText,
  either,
  listOf,
  oneOf,
  optional,
  optionsOf,
  type Shapes,
} from '@externalname/core/internal';
import { objectionKinds } from '../probes/postgres-state.ts';
import type { SwitchOptions } from './options.ts';

// Apart from the types of the options: declarations are bundled by file, and those of public types must not need what is internal.
const whole = (least: number, most: number) => optional(aNumber({ least, most, whole: true }));
const probes = optional(listOf(anObjectWith('run')));

/** The check of each option of {@link SwitchOptions}, for functions that pass some of them on. */
export const switchShapes = {
  service: aText,
  namespace: optional(aText),
  clusterDomain: optional(aText),
  reason: optional(aText),
  by: optional(aText),
  probes: optional(optionsOf<NonNullable<SwitchOptions['probes']>>({ target: probes, previous: probes })),
  accept: optional(listOf(oneOf(...objectionKinds))),
  waitForPromotionMillis: whole(0, 3_600_000),
  announceMillis: whole(0, 60_000),
  onProgress: optional(aFunction),
  dryRun: optional(aBoolean),
  skip: optional(listOf(oneOf('dry-run', 'watch'))),
  dnsServers: optional(either(oneOf(false), listOf(aText))),
  kubeConfig: anything,
  allowedTargets: anything,
  probeTimeoutMillis: whole(1, 600_000),
  maxLagBytes: whole(0, Number.MAX_SAFE_INTEGER),
  propagationTimeoutMillis: whole(1, 3_600_000),
  requestTimeoutMillis: whole(100, 60_000),
  signal: aSignal,
} satisfies Shapes<SwitchOptions>;
