// Compiles only while a Pool and a BalancedPool are what @externalname/prometheus takes. It runs nothing.
import type { BalancedPool, Pool } from '@externalname/pg';
import type { PoolLike } from '@externalname/prometheus';

export const isMeasurable = (pool: Pool | BalancedPool): PoolLike => pool;
