import { applications } from './applications.ts';
import { tour } from './tour.ts';

await tour(console.log, applications);
