import type { Target } from './target-source.ts';

/** One place to connect to: an address of a target, and a port. */
export interface Endpoint {
  readonly target: Target;
  readonly address: string;
  readonly family: 4 | 6;
  readonly port: number;
}
