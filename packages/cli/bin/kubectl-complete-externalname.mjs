#!/usr/bin/env node
// kubectl asks a program of this name to complete `kubectl externalname ...`.
import { start } from './start.mjs';

await start('kubectl externalname', ['__complete', ...process.argv.slice(2)]);
