import {
  aNumber,
  aText,
  checkObject,
  oneOf,
  optional,
  optionsOf,
  type Shape,
  type Shapes,
} from '@externalname/core/internal';
import type { StartedFault } from '../faults.ts';
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
  checkObject('fault', fault);
  oneOf(...Object.keys(faultShapes))('fault.kind', fault.kind);
  faultShapes[fault.kind]('fault', fault);
}

const kind: Shape = () => undefined;
const scopeShapes: Shapes<ApiFaultScope> = {
  verb: optional(aText),
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

/** The faults that are on, newest first. */
export class ApiFaults {
  readonly #started = new Set<{ readonly fault: ApiFault; left: number; readonly onEnd: () => void }>();

  start(fault: ApiFault, onEnd: () => void = () => {}): StartedFault {
    const left = 'times' in fault && fault.times !== undefined ? fault.times : Number.POSITIVE_INFINITY;
    const started = { fault, left, onEnd };
    this.#started.add(started);
    const end = () => {
      if (this.#started.delete(started)) onEnd();
    };
    return { end, [Symbol.dispose]: end };
  }

  /** The newest fault of this kind that is on. */
  current<Kind extends ApiFault['kind']>(kind: Kind): FaultOf<Kind> | undefined {
    const found = [...this.#started].reverse().find(({ fault }) => fault.kind === kind);
    return found?.fault as FaultOf<Kind> | undefined;
  }

  /** The newest fault of this kind for this request, counted as used. */
  take<Kind extends 'slow' | 'status'>(kind: Kind, target: RequestTarget): FaultOf<Kind> | undefined {
    for (const started of [...this.#started].reverse()) {
      const { fault } = started;
      if (fault.kind !== kind || !isFor(fault as FaultOf<Kind>, target)) continue;
      started.left -= 1;
      if (started.left <= 0) this.#started.delete(started);
      return fault as FaultOf<Kind>;
    }
    return undefined;
  }

  endAll(): void {
    for (const started of [...this.#started]) {
      this.#started.delete(started);
      started.onEnd();
    }
  }
}

function isFor(scope: ApiFaultScope, target: RequestTarget): boolean {
  if (target.kind === 'path') return scope.verb === undefined && scope.resource === undefined;
  return (
    (scope.verb === undefined || scope.verb === target.verb) &&
    (scope.resource === undefined || scope.resource === target.type.plural)
  );
}
