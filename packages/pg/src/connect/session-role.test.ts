import { describe, expect, it } from 'vitest';
import { roleFits, type SessionRole, type TargetSessionAttrs } from './session-role.ts';

const primary: SessionRole = { inHotStandby: false, defaultReadOnly: false };
const fenced: SessionRole = { inHotStandby: false, defaultReadOnly: true };
const standby: SessionRole = { inHotStandby: true, defaultReadOnly: false };
const silent: SessionRole = { inHotStandby: undefined, defaultReadOnly: undefined };

describe('targetSessionAttrs, as libpq has them', () => {
  it.each<[TargetSessionAttrs, boolean, boolean, boolean, boolean | undefined]>([
    //                 primary fenced standby a server that does not say
    ['any', true, true, true, true],
    ['read-write', true, false, false, undefined],
    ['read-only', false, true, true, undefined],
    ['primary', true, true, false, undefined],
    ['standby', false, false, true, undefined],
    ['prefer-standby', true, true, true, true],
  ])('%s', (wanted, ...expected) => {
    expect([primary, fenced, standby, silent].map((role) => roleFits(wanted, role))).toEqual(expected);
  });
});
