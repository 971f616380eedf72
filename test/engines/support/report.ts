import { writeFileSync } from 'node:fs';

/** Prints the middle and the worst of some times, and adds them to the file that `ENGINES_REPORT` names. */
export function report(what: string, times: readonly number[]): void {
  const sorted = [...times].sort((one, two) => one - two).map(Math.round);
  const text = `engines: ${what}: median ${sorted[Math.floor(sorted.length / 2)]} ms, worst ${sorted.at(-1)} ms of ${sorted.length}`;
  console.info(text);
  const file = process.env['ENGINES_REPORT'];
  if (file !== undefined) writeFileSync(file, `${text} ${JSON.stringify(sorted)}\n`, { flag: 'a' });
}
