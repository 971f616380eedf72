import { tour } from './tour.ts';

const seconds = Number(process.argv[2] ?? 5);
if (!(seconds > 0 && seconds <= 20)) throw new RangeError('give the length of the cut in seconds, up to 20');
await tour(console.log, { cutMillis: seconds * 1000 });
