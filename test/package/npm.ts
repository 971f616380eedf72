import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';

/** Installs a package from the registry into a folder of its own, with the script that it may have. */
export function npmInstall(folder: string, wanted: string): void {
  mkdirSync(folder, { recursive: true });
  const parameters = [
    'install',
    '--prefix',
    folder,
    '--no-save',
    '--no-audit',
    '--no-fund',
    '--loglevel=error',
    wanted,
  ];
  execFileSync('npm', parameters, { cwd: folder, stdio: 'inherit', env: withoutPnpmSettings() });
}

/** The newest version of a package whose number begins so. */
export function newestVersion(name: string, beginsWith: string): string {
  const parameters = ['view', name, 'versions', '--json'];
  const versions = JSON.parse(
    execFileSync('npm', parameters, { encoding: 'utf8', env: withoutPnpmSettings() }),
  ) as string[];
  const newest = versions.filter((version) => version.startsWith(beginsWith)).at(-1);
  if (newest === undefined) throw new Error(`the registry has no ${name} whose version begins with ${beginsWith}`);
  return newest;
}

// The pnpm that runs a script hands its own settings down, which npm does not know.
function withoutPnpmSettings(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(npm|pnpm)_/i.test(name)));
}
