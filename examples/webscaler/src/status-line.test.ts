import { WriteLedger } from '@externalname/testing';
import { describe, expect, it } from 'vitest';
import { statusRows } from './status-line.ts';

const servers = [
  { address: '127.64.0.1', hostName: 'primary-db.example.com' },
  { address: '127.64.0.2', hostName: 'secondary-db.example.com' },
];
const settings = (client: 'externalname' | 'plain-query') => ({
  client,
  title: client === 'externalname' ? '@externalname/pg' : 'pg, query()',
  tls: 'no TLS',
  calls: 'pool.query()',
  workers: 20,
  connections: 10,
  pauseMillis: 20,
  table: 'writes',
});

describe('the status', () => {
  it('says how many writes each server acknowledged in the last second, what has failed, and who waits', () => {
    const ledger = new WriteLedger();
    const settled = [1, 2, 3].map((id) => ({
      id,
      worker: id,
      beganAt: 9_000,
      settledAt: 9_500,
      address: '127.64.0.1',
    }));
    const failure = { code: 'ECONNRESET', message: '', outcome: 'unknown' } as const;
    ledger.enter(
      {
        settled: [...settled, { id: 4, worker: 4, beganAt: 9_000, settledAt: 9_600, failure }],
        underWay: [
          { id: 5, worker: 1, beganAt: 9_700 },
          { id: 6, worker: 2, beganAt: 9_990 },
        ],
      },
      10_000,
    );
    expect(statusRows([{ ledger, settings: settings('externalname') }], servers, 10_000)).toEqual([
      { who: '@externalname/pg', text: '   1 failed   1 waiting     3/s to primary-db' },
    ]);
  });

  it('has a row for each crew, and says so if a crew does not write', () => {
    const crews = [
      { ledger: new WriteLedger(), settings: settings('externalname') },
      { ledger: new WriteLedger(), settings: settings('plain-query') },
    ];
    expect(statusRows(crews, servers, 10_000)).toEqual([
      { who: '@externalname/pg', text: '   0 failed   0 waiting     no writes' },
      { who: 'pg, query()', text: '   0 failed   0 waiting     no writes' },
    ]);
  });
});
