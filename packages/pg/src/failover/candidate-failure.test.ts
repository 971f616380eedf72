import { ResolutionError } from '@externalname/core';
import { describe, expect, it } from 'vitest';
import { ServerRoleError } from '../errors.ts';
import { candidateFailure } from './candidate-failure.ts';

const coded = (code: string) => Object.assign(new Error(code), { code });

describe('what a failed attempt says of the target that the pool may move to', () => {
  it.each([
    ['a standby', new ServerRoleError('secondary-db.example.com', 'read-write', 'a standby'), 'not-ready', false],
    ['a certificate for another name', coded('ERR_TLS_CERT_ALTNAME_INVALID'), 'unfit', true],
    ['no such host', new ResolutionError('not-found', 'secondary-db.example.com'), 'unfit', false],
    ['a wrong password', Object.assign(coded('28P01'), { severity: 'FATAL' }), 'unfit', true],
    ['a database that is not there', Object.assign(coded('3D000'), { severity: 'FATAL' }), 'unfit', true],
    ['a refused connection', coded('ECONNREFUSED'), 'no-answer', false],
    ['silence', coded('ETIMEDOUT'), 'no-answer', false],
  ])('is, of %s: %3$s', (_, error, verdict, isLasting) => {
    expect(candidateFailure(error)).toMatchObject({ verdict, isLasting });
  });
});
