import { checkObject, oneOf, type Shape } from '@externalname/core/internal';

/** A fault that was started on purpose. It ends by `end()`, or at the end of a `using` block. */
export interface StartedFault extends Disposable {
  /** Ends the fault. Idempotent. */
  end(): void;
}

/**
 * Checks a fault by the shape of its kind, so that it cannot have options of another kind.
 *
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT`
 */
export function checkFault<Kind extends string>(
  fault: { readonly kind: Kind },
  shapes: { readonly [Each in Kind]: Shape },
): void {
  checkObject('fault', fault);
  oneOf(...Object.keys(shapes))('fault.kind', fault.kind);
  shapes[fault.kind]('fault', fault);
}

/** The faults of a server that are on. */
export class StartedFaults<Fault> {
  readonly #started = new Set<{ readonly fault: Fault; left: number; readonly onEnd: () => void }>();

  /** After so many uses a fault ends by itself. */
  start(fault: Fault, uses = Number.POSITIVE_INFINITY, onEnd: () => void = () => {}): StartedFault {
    const started = { fault, left: uses, onEnd };
    this.#started.add(started);
    const end = () => {
      if (this.#started.delete(started)) onEnd();
    };
    return { end, [Symbol.dispose]: end };
  }

  /** All of them, the newest first. */
  newestFirst(): readonly Fault[] {
    return [...this.#started].reverse().map(({ fault }) => fault);
  }

  /** The newest one that matches, which counts as a use of it. */
  use<Match extends Fault>(matches: (fault: Fault) => fault is Match): Match | undefined {
    for (const started of [...this.#started].reverse()) {
      const { fault } = started;
      if (!matches(fault)) continue;
      started.left -= 1;
      if (started.left <= 0) this.#started.delete(started);
      return fault;
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
