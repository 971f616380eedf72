import 'reflect-metadata';
import type { PoolOptions } from '@externalname/pg';
import { type DynamicModule, type INestApplication, Module } from '@nestjs/common';
import { HttpAdapterHost, NestFactory } from '@nestjs/core';
import { DatabaseModule } from './database.module.ts';
import { HealthController } from './health.controller.ts';
import { OrdersController } from './orders.controller.ts';
import { OutcomeFilter } from './outcome.filter.ts';

@Module({ controllers: [HealthController, OrdersController] })
class AppModule {
  static with(options: PoolOptions): DynamicModule {
    return { module: AppModule, imports: [DatabaseModule.forRoot(options)] };
  }
}

export async function createApp(options: PoolOptions = {}): Promise<INestApplication> {
  const app = await NestFactory.create(AppModule.with(options));
  app.useGlobalFilters(new OutcomeFilter(app.get(HttpAdapterHost).httpAdapter));
  // On SIGTERM: no new requests, the last answers, and then the end of the pool.
  app.enableShutdownHooks();
  return app;
}
