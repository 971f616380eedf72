import { InvalidArgumentError } from '@externalname/core';

/**
 * `@externalname/testing`, which brings PostgreSQL with it: so it is not installed with this package, but beside it.
 *
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT` if it is not there
 */
export function testingPackage(): Promise<typeof import('@externalname/testing')> {
  return orSay('dev', '@externalname/testing', () => import('@externalname/testing'));
}

/** `@externalname/drill`, which brings `@externalname/testing` with it: the same. */
export function drillPackage(): Promise<typeof import('@externalname/drill')> {
  return orSay('drill', '@externalname/drill', () => import('@externalname/drill'));
}

async function orSay<Package>(command: string, name: string, load: () => Promise<Package>): Promise<Package> {
  try {
    return await load();
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw cause;
    throw new InvalidArgumentError(
      command,
      `needs the package ${name}, which is not installed: npm install ${name} beside @externalname/cli`,
      { cause },
    );
  }
}
