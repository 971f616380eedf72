import { rehearse } from './rehearsal.ts';

console.table(await rehearse(console.log));
