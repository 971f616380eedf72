import { describe, expect, it } from 'vitest';
import { type TransactionOptions, transactionSettings } from './settings.ts';

describe('the options of a transaction', () => {
  it.each<[TransactionOptions, string]>([
    [{}, 'BEGIN'],
    [{ isolationLevel: 'repeatable read' }, 'BEGIN ISOLATION LEVEL REPEATABLE READ'],
    [
      { isolationLevel: 'serializable', readOnly: true, deferrable: true },
      'BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY DEFERRABLE',
    ],
    // READ WRITE would get past a server that is fenced by default_transaction_read_only.
    [{ readOnly: false }, 'BEGIN'],
  ])('%j begin it by %s', (options, begin) => {
    expect(transactionSettings(options).begin).toBe(begin);
  });

  it.each([
    ['isolationLevel', { isolationLevel: 'snapshot' }],
    ['isolationLevel', { isolationLevel: 'serializable; drop table a' }],
    ['readOnly', { readOnly: 'yes' }],
    ['deferrable', { deferrable: 1 }],
    ['commitProof', { commitProof: 'no' }],
    ['retries', { retries: -1 }],
    ['retries', { retries: 1.5 }],
    ['retries', { retries: Number.NaN }],
    ['commitMarker.table', { commitMarker: { table: 'a b' } }],
    ['commitMarker.table', { commitMarker: {} }],
  ])('refuse a wrong %s: %j', (argument, options) => {
    expect(() => transactionSettings(options as TransactionOptions)).toThrow(
      expect.objectContaining({ code: 'ERR_EXTERNALNAME_INVALID_ARGUMENT', argument }),
    );
  });
});
