#!/usr/bin/env node
import { runLocalCluster } from './command/run.ts';

// Ctrl-C, a closed terminal, and a supervisor's request all end it the same way.
const ending = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => ending.abort());

runLocalCluster({
  args: process.argv.slice(2),
  print: (text) => process.stdout.write(text),
  printError: (text) => process.stderr.write(text),
  signal: ending.signal,
}).then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    process.stderr.write(`local-cluster: ${String(error)}\n`);
    process.exitCode = 1;
  },
);
