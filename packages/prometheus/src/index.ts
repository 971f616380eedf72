export { type Collection, collectMetrics, type MetricsOptions } from './collector.ts';
export { labelBounds, type MetricRow, metrics } from './metrics.ts';
export type { FollowerLike, FollowerStatusLike, PoolLike, PoolStatusLike } from './payloads.ts';
