import { Pool } from '@externalname/pg';
import { PrismaPg } from '@prisma/adapter-pg';
import { describe, expect, it } from 'vitest';
import { PrismaClient } from './prisma/client/client.ts';
import { specify } from './support/specification.ts';

specify<PrismaClient>({
  name: 'Prisma, adapter-pg',
  open: (webscaler) =>
    new PrismaClient({
      adapter: new PrismaPg(new Pool(webscaler.options()), { disposeExternalPool: true }),
      // Its own limits are 2 s and 5 s, which an outage outlasts.
      transactionOptions: { maxWait: 30_000, timeout: 30_000 },
    }),
  insert: (prisma, id) => prisma.write.create({ data: { id } }),
  transaction: (prisma, work) => prisma.$transaction(async (tx) => work((id) => tx.write.create({ data: { id } }))),
  close: (prisma) => prisma.$disconnect(),
  repeatsStatements: true,
});

describe("Prisma's adapter", () => {
  it('takes the pool for one of pg, and makes none of its own from its options', async () => {
    await using pool = new Pool({ service: 'webscaler-db', allowedTargets: ['*.example.com'] });
    const adapter = await new PrismaPg(pool).connect();
    expect(adapter.underlyingDriver()).toBe(pool);
    await adapter.dispose();
    expect(pool.ending).toBe(false);
  });
});
