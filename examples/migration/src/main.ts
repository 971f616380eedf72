import { tour } from './tour.ts';

const { dropped } = await tour(console.log, { ttlSeconds: 5 });
process.exitCode = dropped === 0 ? 0 : 1;
