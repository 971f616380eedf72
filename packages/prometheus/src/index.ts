export { collectMetrics, type MetricsOptions } from './collector.ts';
export { type LabelBound, labelBounds } from './labels.ts';
export { metrics } from './metrics.ts';
export type { Collection, CollectionOptions } from './observer.ts';
export type { BalancedStatusLike, FollowerLike, FollowerStatusLike, PoolLike, PoolStatusLike } from './payloads.ts';
export type { MetricRow } from './rows.ts';
