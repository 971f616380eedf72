import type { Target } from './target-source.ts';

/** One place to connect to: an address of a target, and a port. */
export interface Endpoint {
  /** The target that has the address. */
  readonly target: Target;
  /** IPv4 or IPv6 address, as text. */
  readonly address: string;
  /** The family of the address. */
  readonly family: 4 | 6;
  /** The port to connect to. */
  readonly port: number;
}
