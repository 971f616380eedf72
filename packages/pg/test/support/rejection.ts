import { expect } from 'vitest';

/** What the work is rejected with. Fails where it succeeds. */
export function rejectionOf(work: Promise<unknown>): Promise<Error> {
  return work.then(
    () => expect.fail('it succeeded'),
    (error: Error) => error,
  );
}
