// Compiles only while a Pool is what @externalname/prometheus takes. It runs nothing.
import type { Pool } from '@externalname/pg';
import type { PoolLike } from '@externalname/prometheus';

export const isMeasurable = (pool: Pool): PoolLike => pool;
