import type { Pool } from '@externalname/pg';

/** The accounts, what was moved between them, and the table in which a transaction leaves its marker. */
export const schema = `
  create table accounts (id int primary key, balance int not null check (balance >= 0));
  create table transfers (id uuid primary key, payer int not null, payee int not null, amount int not null);
  create table commit_markers (id uuid primary key, written_at timestamptz not null default now());
  create index on commit_markers (written_at);
`;

export interface Transfer {
  readonly id: string;
  readonly payer: number;
  readonly payee: number;
  readonly amount: number;
}

/**
 * Moves money, once, and says whether the payer had enough. The whole function may run several times, so it does nothing
 * outside the database.
 */
export function transfer(pool: Pool, { id, payer, payee, amount }: Transfer): Promise<'moved' | 'not enough'> {
  return pool.transaction(
    async (tx) => {
      const { rows } = await tx.query<{ balance: number }>('select balance from accounts where id = $1', [payer]);
      if ((rows[0]?.balance ?? 0) < amount) return 'not enough';
      await tx.query('update accounts set balance = balance - $2 where id = $1', [payer, amount]);
      await tx.query('update accounts set balance = balance + $2 where id = $1', [payee, amount]);
      await tx.query('insert into transfers (id, payer, payee, amount) values ($1, $2, $3, $4)', [
        id,
        payer,
        payee,
        amount,
      ]);
      return 'moved';
    },
    { isolationLevel: 'serializable', retries: 50, commitMarker: { table: 'commit_markers' } },
  );
}

/** Markers are only asked for while their transaction's caller waits: a day is ample. */
export async function dropOldMarkers(pool: Pool): Promise<number> {
  const result = await pool.query("delete from commit_markers where written_at < now() - interval '1 day'");
  return result.rowCount ?? 0;
}
