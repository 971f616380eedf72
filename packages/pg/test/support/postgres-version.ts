import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, it } from 'vitest';

const folder = process.env['EXTERNALNAME_POSTGRES_BIN'];
/** The major version that is tested; without `pnpm test:postgres`, the newest. */
export const testedMajor: number =
  folder === undefined || folder === ''
    ? Number.POSITIVE_INFINITY
    : Number(/\d+/.exec(execFileSync(join(folder, 'postgres'), ['--version'], { encoding: 'utf8' }))?.[0]);

/** `it`, where the PostgreSQL that is tested has what the test is about: `pnpm test:postgres` runs on older ones. */
export const itSince = (major: number) => it.skipIf(testedMajor < major);

/** `describe`, in the same way. */
export const describeSince = (major: number) => describe.skipIf(testedMajor < major);
