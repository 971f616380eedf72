import { InvalidArgumentError } from '@externalname/core';

/** What the package has. */
export type Testing = typeof import('@externalname/testing');

/**
 * `@externalname/testing`, which brings PostgreSQL with it: so it is not installed with this package, but beside it.
 *
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT` if it is not there
 */
export async function testingPackage(command: string): Promise<Testing> {
  try {
    return await import('@externalname/testing');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw cause;
    throw new InvalidArgumentError(
      command,
      'needs the package @externalname/testing, which is not installed: npm install @externalname/testing beside @externalname/cli',
      { cause },
    );
  }
}
