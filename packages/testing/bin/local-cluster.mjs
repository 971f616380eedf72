#!/usr/bin/env node
// A file that is there before the package is built: an install in a fresh clone links it without a word.
import '../dist/bin.js';
