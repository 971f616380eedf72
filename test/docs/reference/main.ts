// Writes the pages of reference that are made from the sources into a folder, from where the site takes them.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { optionsPage } from './options.ts';

const [folder] = process.argv.slice(2);
if (folder === undefined) throw new Error('name the folder to write to');
mkdirSync(folder, { recursive: true });
writeFileSync(join(folder, 'options.md'), optionsPage());
