import type { SecureContext, SecureContextOptions } from 'node:tls';

/**
 * Makes one secure context for all connections with the same TLS options. `tls.connect` makes one for each connection, and reads
 * the certificates of the authorities again, which is a fifth of what a connection costs this process.
 *
 * Options are the same if every property is the same, and every entry of each list. So a certificate that is replaced, even in
 * the same object, is used from the next connection on, as with `pg`.
 *
 * @internal
 */
export class SharedSecureContext {
  #last: { readonly facts: ReadonlyMap<string, readonly unknown[]>; readonly context: SecureContext } | undefined;

  /** `undefined` if the options bring their own context, or are invalid: then `tls.connect` says why. */
  of(options: SecureContextOptions & { secureContext?: unknown }): SecureContext | undefined {
    if (options.secureContext !== undefined) return undefined;
    const facts = factsOf(options);
    if (this.#last !== undefined && isSame(facts, this.#last.facts)) return this.#last.context;
    try {
      const context = process.getBuiltinModule('node:tls').createSecureContext(options);
      this.#last = { facts, context };
      return context;
    } catch {
      return undefined;
    }
  }
}

// A hidden (non-enumerable) private key counts, too.
function factsOf(options: object): ReadonlyMap<string, readonly unknown[]> {
  return new Map(
    Object.getOwnPropertyNames(options).map((name) => {
      const value: unknown = (options as Record<string, unknown>)[name];
      return [name, Array.isArray(value) ? [...value] : [value]];
    }),
  );
}

function isSame(one: ReadonlyMap<string, readonly unknown[]>, other: ReadonlyMap<string, readonly unknown[]>): boolean {
  if (one.size !== other.size) return false;
  for (const [name, values] of one) {
    const others = other.get(name);
    if (others === undefined || others.length !== values.length) return false;
    if (!values.every((value, index) => Object.is(value, others[index]))) return false;
  }
  return true;
}
