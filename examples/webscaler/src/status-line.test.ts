import { describe, expect, it } from 'vitest';
import { Ledger } from './ledger.ts';
import { statusLine } from './status-line.ts';

const servers = [
  { address: '127.64.0.1', hostName: 'primary-db.example.com' },
  { address: '127.64.0.2', hostName: 'secondary-db.example.com' },
];
const settings = (client: 'externalname' | 'plain-query') => ({
  client,
  title: '',
  workers: 20,
  connections: 10,
  pauseMillis: 20,
  table: 'writes',
});

describe('the status line', () => {
  it('says how many writes each server acknowledged in the last second, what has failed, and who waits', () => {
    const ledger = new Ledger();
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
    expect(statusLine([{ ledger, settings: settings('externalname') }], servers, 10_000)).toBe(
      '3/s to primary-db, 1 failed, 1 waiting',
    );
  });

  it('says so where nobody writes, and names the plain pools', () => {
    const crews = [
      { ledger: new Ledger(), settings: settings('externalname') },
      { ledger: new Ledger(), settings: settings('plain-query') },
    ];
    expect(statusLine(crews, servers, 10_000)).toBe(
      'no writes, 0 failed, 0 waiting | plain-query: no writes, 0 failed, 0 waiting',
    );
  });
});
