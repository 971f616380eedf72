// `@externalname/pg` as an application sees it whose configuration says who it is, and where the CA and the DNS are.
import * as ours from '@externalname/pg';
import { place } from './place.ts';

export * from '@externalname/pg';

export class Pool extends ours.Pool {
  constructor(options: ours.PoolOptions) {
    super({ ...place.connection, ...options });
  }
}

export class Client extends ours.Client {
  constructor(options: ours.ClientOptions) {
    super({ ...(place.connection as ours.ClientOptions), ...options });
  }
}
