import { tour } from './tour.ts';

const seconds = Number(process.argv[2] ?? 4);
if (!(seconds > 0 && seconds <= 20)) throw new RangeError('give the length of each outage in seconds, up to 20');
await tour(console.log, { outageMillis: seconds * 1000 });
