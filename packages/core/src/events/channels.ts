import { type Channel, channel } from 'node:diagnostics_channel';
import { checkText } from '../input.ts';
import { printIfAsked } from './debug-log.ts';

/**
 * A `node:diagnostics_channel` channel with a typed payload. The payload is built only if there is a subscriber.
 */
export class EventChannel<Payload extends object> {
  /** The channel's name: `externalname:<room>:<what happened>`. */
  readonly name: string;
  readonly #channel: Channel;

  constructor(name: `externalname:${string}`) {
    checkText('name', name);
    this.name = name;
    this.#channel = channel(name);
    printIfAsked(name);
  }

  /** Whether there is a subscriber. For work that a payload needs beforehand, such as measuring time. */
  get hasSubscribers(): boolean {
    return this.#channel.hasSubscribers;
  }

  /** Publishes the result of `payload` if there is a subscriber. */
  publish(payload: () => Payload): void {
    if (this.#channel.hasSubscribers) this.#channel.publish(payload());
  }

  /** Calls back for each event until the returned function is called. */
  subscribe(listener: (payload: Payload) => void): () => void {
    const onMessage = (message: unknown) => listener(message as Payload);
    this.#channel.subscribe(onMessage);
    return () => void this.#channel.unsubscribe(onMessage);
  }
}
