import { outcomeOf, pgModule } from '@externalname/pg';
import { DataSource, EntitySchema, QueryFailedError } from 'typeorm';
import { specify } from './support/specification.ts';

const Write = new EntitySchema<{ id: string }>({
  name: 'Write',
  tableName: 'writes',
  columns: { id: { type: 'text', primary: true } },
});

specify<DataSource>({
  name: 'TypeORM, driver',
  async open(webscaler) {
    const { host, port, user, password, database, ssl, max, ...extra } = webscaler.hostOptions();
    return await new DataSource({
      type: 'postgres',
      driver: pgModule,
      host,
      port,
      username: user,
      password: password as string,
      database: database as string,
      ssl: ssl as { ca: string },
      poolSize: max as number,
      extra,
      entities: [Write],
    }).initialize();
  },
  insert: (source, id) => source.getRepository(Write).insert({ id }),
  transaction: (source, work) =>
    source.transaction((manager) => work((id) => manager.getRepository(Write).insert({ id }))),
  async *stream(source, count) {
    const runner = source.createQueryRunner();
    try {
      const rows = await runner.stream('select generate_series(1, $1::integer) as number', [count]);
      for await (const { number } of rows as AsyncIterable<{ number: number }>) yield number;
    } finally {
      await runner.release();
    }
  },
  close: (source) => source.destroy(),
  outcome: (error) => outcomeOf(error instanceof QueryFailedError ? error.driverError : error),
});
