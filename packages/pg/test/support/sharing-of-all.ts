import type { PoolOptions } from '../../src/index.ts';

/** `TEST_PIPELINING=16` runs any of these tests with pools that pipeline and prepare: what holds for others has to hold for them. */
export const sharingOfAll: Pick<PoolOptions, 'pipelining' | 'statementCache'> = process.env['TEST_PIPELINING']
  ? { pipelining: Number(process.env['TEST_PIPELINING']), statementCache: 20 }
  : {};

export const isSharing = Object.keys(sharingOfAll).length > 0;
