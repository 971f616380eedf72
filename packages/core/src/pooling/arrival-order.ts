/** A place in an {@link ArrivalOrder}. */
export interface Place<Value> {
  /** `undefined` once it has left. */
  readonly value: Value | undefined;
}

/**
 * Values in the order in which they arrived. The first is available, and any can leave from the middle, in constant time.
 *
 * A `Set` can do the same, but leaves its former tables behind, and each of them keeps the next one and its contents
 * alive. At tens of thousands of values a second that costs the garbage collector more than a small query costs the pool.
 */
export class ArrivalOrder<Value> implements Iterable<Value> {
  #first: Node<Value> | undefined;
  #last: Node<Value> | undefined;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get first(): Value | undefined {
    return this.#first?.value;
  }

  /** Adds a value at the end. Returns its place, for leaving. */
  add(value: Value): Place<Value> {
    const node: Node<Value> = { value, previous: this.#last, next: undefined, present: true };
    if (this.#last === undefined) this.#first = node;
    else this.#last.next = node;
    this.#last = node;
    this.#size += 1;
    return node;
  }

  /** Removes the value at a place. `false` if it has left already. */
  leave(place: Place<Value>): boolean {
    const node = place as Node<Value>;
    if (!node.present) return false;
    const { previous, next } = node;
    if (previous === undefined) this.#first = next;
    else previous.next = next;
    if (next === undefined) this.#last = previous;
    else next.previous = previous;
    // A removed entry must not keep remaining ones alive, nor its own value: V8 may have made it in the old space.
    node.previous = undefined;
    node.next = undefined;
    node.value = undefined;
    node.present = false;
    this.#size -= 1;
    return true;
  }

  /** The values at this moment: later changes do not affect the iteration. */
  *[Symbol.iterator](): Iterator<Value> {
    const values: Value[] = [];
    for (let node = this.#first; node !== undefined; node = node.next) values.push(node.value as Value);
    yield* values;
  }
}

interface Node<Value> extends Place<Value> {
  value: Value | undefined;
  previous: Node<Value> | undefined;
  next: Node<Value> | undefined;
  present: boolean;
}
