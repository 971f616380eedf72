import type { FailureCount } from '@externalname/testing';
import { describe, expect, it } from 'vitest';
import { conclusions, summary } from './comparison.ts';
import { crewsOf } from './crews.ts';
import type { StageResult } from './verdict.ts';

interface Figures {
  readonly acknowledged?: number;
  readonly failed?: number;
  readonly first?: number | null;
  readonly code?: string;
}

function stage({ acknowledged = 1_000, failed = 0, first = 100, code = 'ECONNREFUSED' }: Figures = {}): StageResult {
  const failures: readonly FailureCount[] = failed === 0 ? [] : [{ code, outcome: 'unsaid', count: failed, stored: 0 }];
  return {
    held: true,
    writes: { acknowledged, lost: 0, duplicated: 0, hung: 0, failed },
    patchToFirstWriteMillis: first,
    patchToAllWorkersMillis: first,
    outageMillis: 1_000,
    failures,
    ids: { lost: [], duplicated: [] },
    objections: [],
  };
}

function crew(client: string, crash: Figures, planned: Figures, sessions = 0) {
  const settings = crewsOf(true).find((each) => each.client === client);
  if (settings === undefined) throw new TypeError(`no crew is called ${client}`);
  const left = { sessions, writes: sessions === 0, afterMillis: 11_020 };
  return { settings, crash: stage(crash), planned: stage(planned), left };
}

const ours = crew('externalname', { failed: 10, first: 200 }, { first: 300 });
const conclusion = (...plain: readonly ReturnType<typeof crew>[]) =>
  conclusions(ours, plain, 'secondary-db.example.com').map(({ who, text }) => `${who}: ${text}`);

describe('what a run says of plain pg', () => {
  it('is by the figures of that run, crew by crew, and ours last', () => {
    const query = crew('plain-query', { failed: 366, first: 85 }, { failed: 29, first: 126 });
    expect(conclusion(query)).toEqual([
      'pg, query(): 395 writes failed: 366 in the crash, 29 in the planned switch. Nothing was encrypted. Its first write came sooner ' +
        'than ours, by 115 ms after the crash and 174 ms after the planned switch: its workers were given 395 errors there and tried ' +
        'again 40 ms after each, while ours waited inside the pool and were given 10.',
      '@externalname/pg: 10 writes failed: 10 in the crash, 0 in the planned switch. Every connection was encrypted, and its host verified.',
    ]);
  });

  it('claims no advantage of plain pg that the run has not shown', () => {
    const query = crew('plain-query', { failed: 366, first: 250 }, { failed: 29, first: 300 });
    expect(conclusion(query)[0]).toBe(
      'pg, query(): 395 writes failed: 366 in the crash, 29 in the planned switch. Nothing was encrypted.',
    );
  });

  it('counts the errors of the stage in which plain pg was quicker, and no others', () => {
    const query = crew('plain-query', { failed: 366, first: 85 }, { failed: 29, first: 400 });
    expect(conclusion(query)[0]).toContain(
      'sooner than ours, by 115 ms after the crash: its workers were given 366 errors there and tried again 40 ms after each, while ' +
        'ours waited inside the pool and were given 10.',
    );
  });

  it('says who stayed on the server that was left', () => {
    const checkout = crew('plain-checkout', { failed: 391, first: 275 }, { failed: 2_939, first: null }, 10);
    expect(conclusion(checkout)[0]).toContain(
      'After the planned switch it wrote nothing to the promoted server: 10 of its sessions were still on secondary-db.example.com 11 s later.',
    );
  });

  it('says who never wrote, and why where the certificate was the reason', () => {
    const refusedBy = (code: string) =>
      conclusion(
        crew('plain-verified', { acknowledged: 0, failed: 17, first: null, code }, { acknowledged: 0, first: null }),
      )[0];
    expect(refusedBy('ERR_TLS_CERT_ALTNAME_INVALID')).toBe(
      'pg, verified TLS: Wrote nothing. All of its 17 writes failed: pg asks for a certificate of the Service, and the database has ' +
        'one of its own name.',
    );
    expect(refusedBy('ECONNREFUSED')).toBe(
      'pg, verified TLS: Wrote nothing. All of its 17 writes failed, most of them with ECONNREFUSED.',
    );
  });

  it('comes down to one line', () => {
    const plain = [
      crew('plain-verified', { acknowledged: 0, failed: 17 }, { acknowledged: 0 }),
      crew('plain-query', { failed: 366 }, { failed: 29 }),
      crew('plain-checkout', { failed: 1 }, {}),
    ];
    expect(summary(ours, plain)).toBe(
      'With pg.Pool in this run: with verified TLS it wrote nothing; without TLS and with pool.query() 395 writes failed; without TLS ' +
        'and with pool.connect() 1 write failed. With @externalname/pg, over verified TLS, 10 writes failed.',
    );
  });
});
