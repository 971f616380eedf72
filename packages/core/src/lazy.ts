/**
 * Makes a value when it is first asked for, so that loading a module does not wait for it. After that, asking costs one comparison.
 *
 * @internal
 */
export function lazily<Value extends object>(make: () => Value): () => Value {
  let value: Value | undefined;
  return () => {
    value ??= make();
    return value;
  };
}
