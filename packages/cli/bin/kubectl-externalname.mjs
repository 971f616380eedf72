#!/usr/bin/env node
// kubectl runs a program of this name for `kubectl externalname`.
import { start } from './start.mjs';

await start('kubectl externalname');
