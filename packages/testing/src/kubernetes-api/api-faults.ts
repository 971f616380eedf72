import {
  aNumber,
  anything,
  aText,
  oneOf,
  optional,
  optionsOf,
  type Shape,
  type Shapes,
} from '@externalname/core/internal';
import { checkFault, type StartedFault, StartedFaults } from '../faults.ts';
import type { RequestTarget, ResourceVerb } from './request-target.ts';

/**
 * Something that goes wrong with the Kubernetes API on purpose.
 *
 * - `refusing`: the server stops listening, and open connections are reset;
 * - `slow`: answers come late;
 * - `status`: requests are answered with this HTTP status (500, 503, 429 with `Retry-After`), in the API server's form;
 * - `dropping-watches`: every watch ends, now and when it is opened: cleanly, or by a reset of its connection;
 * - `silent-watches`: watches stay open and send nothing;
 * - `expired`: a watch that starts from a resource version gets 410 Gone, as an event of the stream or as the status.
 */
export type ApiFault =
  | { readonly kind: 'refusing' }
  | ({ readonly kind: 'slow' /** Milliseconds. */; readonly delayMillis: number } & ApiFaultScope)
  | ({
      readonly kind: 'status';
      readonly code: number /** Seconds. */;
      readonly retryAfterSeconds?: number;
    } & ApiFaultScope)
  | {
      readonly kind: 'dropping-watches';
      /** @defaultValue `close`, as at the end of its time */
      readonly how?: 'close' | 'reset';
      /** How long a watch lives before it ends, in milliseconds. @defaultValue 0 */
      readonly afterMillis?: number;
    }
  | { readonly kind: 'silent-watches' }
  | {
      readonly kind: 'expired';
      /** Real servers send both forms. @defaultValue `event` */
      readonly as?: 'event' | 'status';
    };

/** Which requests an {@link ApiFault} affects. */
export interface ApiFaultScope {
  /** Only requests with this verb. @defaultValue all verbs */
  readonly verb?: ResourceVerb | undefined;
  /** Only requests for this resource, as in paths: `services`. @defaultValue all requests, also for what is not a resource */
  readonly resource?: string | undefined;
  /** After this many requests the fault ends by itself. @defaultValue `Infinity` */
  readonly times?: number | undefined;
}

type FaultOf<Kind extends ApiFault['kind']> = ApiFault & { readonly kind: Kind };

/** @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT` */
export function checkApiFault(fault: ApiFault): void {
  checkFault(fault, faultShapes);
}

// checkFault() has checked it.
const kind = anything;
const scopeShapes: Shapes<ApiFaultScope> = {
  verb: optional(oneOf('get', 'list', 'watch', 'create', 'update', 'patch', 'delete', 'deletecollection')),
  resource: optional(aText),
  times: optional(aNumber({ least: 0 })),
};
const faultShapes: { readonly [Kind in ApiFault['kind']]: Shape } = {
  refusing: optionsOf<FaultOf<'refusing'>>({ kind }),
  slow: optionsOf<FaultOf<'slow'>>({ ...scopeShapes, kind, delayMillis: aNumber({ least: 0, unit: 'milliseconds' }) }),
  status: optionsOf<FaultOf<'status'>>({
    ...scopeShapes,
    kind,
    code: aNumber({ least: 400, most: 599, whole: true }),
    retryAfterSeconds: optional(aNumber({ least: 0 })),
  }),
  'dropping-watches': optionsOf<FaultOf<'dropping-watches'>>({
    kind,
    how: optional(oneOf('close', 'reset')),
    afterMillis: optional(aNumber({ least: 0, unit: 'milliseconds' })),
  }),
  'silent-watches': optionsOf<FaultOf<'silent-watches'>>({ kind }),
  expired: optionsOf<FaultOf<'expired'>>({ kind, as: optional(oneOf('event', 'status')) }),
};

/** The faults of the API that are on. */
export class ApiFaults {
  readonly #started = new StartedFaults<ApiFault>();

  start(fault: ApiFault, onEnd: () => void = () => {}): StartedFault {
    return this.#started.start(fault, 'times' in fault ? fault.times : undefined, onEnd);
  }

  /** The newest fault of this kind that is on. */
  current<Kind extends ApiFault['kind']>(kind: Kind): FaultOf<Kind> | undefined {
    return this.#started.newestFirst().find((fault): fault is FaultOf<Kind> => fault.kind === kind);
  }

  /** The newest fault of this kind for this request, counted as used. */
  take<Kind extends 'slow' | 'status'>(kind: Kind, target: RequestTarget): FaultOf<Kind> | undefined {
    const matches = (fault: ApiFault): fault is FaultOf<Kind> =>
      fault.kind === kind && isFor(fault as FaultOf<Kind>, target);
    return this.#started.use(matches);
  }

  endAll(): void {
    this.#started.endAll();
  }
}

function isFor(scope: ApiFaultScope, target: RequestTarget): boolean {
  if (target.kind === 'path') return scope.verb === undefined && scope.resource === undefined;
  return (
    (scope.verb === undefined || scope.verb === target.verb) &&
    (scope.resource === undefined || scope.resource === target.type.plural)
  );
}
