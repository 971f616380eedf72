// What all commands of this package begin with. `--version` is answered from here: everything else is loaded when it is needed.
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';

/** Runs the program under the name that its help shows. */
export async function start(name, args = process.argv.slice(2)) {
  if (args.length === 1 && (args[0] === '--version' || args[0] === '-V')) {
    process.stdout.write(`${JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')).version}\n`);
    return;
  }
  const sources = new URL('../src/bin.ts', import.meta.url);
  // Sources are there in a clone of the repository only, whose build may be missing or old.
  if (existsSync(sources)) runSources(sources, name, args);
  else (await import('../dist/bin.js')).runProgram(name, args);
}

function runSources(sources, name, args) {
  const flags = ['--conditions=@externalname/source', '--import', import.meta.resolve('tsx')];
  const code = `import(${JSON.stringify(sources.href)}).then((bin) => bin.runProgram(${JSON.stringify(name)}, process.argv.slice(1)))`;
  const child = spawn(process.execPath, [...flags, '--eval', code, '--', ...args], { stdio: 'inherit' });
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
