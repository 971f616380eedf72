import { createHash } from 'node:crypto';
import type { TargetName } from './refusals.ts';

/** The version of a target whose source has none: a digest of what defines the target, 16 hexadecimal digits. */
export function targetVersion(target: TargetName): string {
  return createHash('sha256').update(target.externalName).digest('hex').slice(0, 16);
}
