import { Pool, type PoolOptions } from '@externalname/pg';
import { type DynamicModule, Global, Inject, Injectable, Module, type OnApplicationShutdown } from '@nestjs/common';

@Injectable()
class PoolEnding implements OnApplicationShutdown {
  readonly #pool: Pool;

  constructor(@Inject(Pool) pool: Pool) {
    this.#pool = pool;
  }

  // After the HTTP server has answered its last request.
  async onApplicationShutdown(): Promise<void> {
    await this.#pool.end();
  }
}

@Global()
@Module({})
export class DatabaseModule {
  static forRoot(options: PoolOptions): DynamicModule {
    const pool = { provide: Pool, useFactory: () => new Pool(options) };
    return { module: DatabaseModule, providers: [pool, PoolEnding], exports: [Pool] };
  }
}
