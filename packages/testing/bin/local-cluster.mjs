#!/usr/bin/env node
// A file that is there before the package is built: an install in a fresh clone links it without a word.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const sources = new URL('../src/bin.ts', import.meta.url);

// Sources are there in a clone of the repository only, whose build may be missing or old.
if (existsSync(sources)) runSources();
else await import('../dist/bin.js');

function runSources() {
  const flags = ['--conditions=@externalname/source', '--import', import.meta.resolve('tsx')];
  const child = spawn(process.execPath, [...flags, fileURLToPath(sources), ...process.argv.slice(2)], {
    stdio: 'inherit',
  });
  // A terminal sends Ctrl-C to both processes; a supervisor sends its signal to this one.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => {
      if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal);
    });
  }
  child.on('exit', (code) => {
    process.exitCode = code ?? 1;
  });
}
