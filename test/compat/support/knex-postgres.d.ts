// The dialect has no types of its own.
declare module 'knex/lib/dialects/postgres/index.js' {
  import { Knex } from 'knex';

  class Postgres extends Knex.Client {
    _driver(): unknown;
  }
  export default Postgres;
}
