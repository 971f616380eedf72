import { Pool } from '@externalname/pg';
import { Body, Controller, Inject, Post } from '@nestjs/common';

@Controller('orders')
export class OrdersController {
  readonly #pool: Pool;

  constructor(@Inject(Pool) pool: Pool) {
    this.#pool = pool;
  }

  @Post()
  async store(@Body() { id }: { id: string }) {
    // The key makes it safe to run twice, so a crash of the server costs a wait and not an error.
    const text = 'insert into orders (id) values ($1) on conflict do nothing';
    await this.#pool.query({ text, values: [id], idempotent: true });
    return { id };
  }
}
