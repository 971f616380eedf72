/** A fault that was started on purpose. It ends by `end()`, or at the end of a `using` block. */
export interface StartedFault extends Disposable {
  /** Ends the fault. Idempotent. */
  end(): void;
}
