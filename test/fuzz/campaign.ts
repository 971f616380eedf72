import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { inspect, parseArgs } from 'node:util';

/** Checks one case, made of nothing but its number. Throws if it finds something. */
export type FuzzCase = (random: FuzzRandom, number: number) => void | Promise<void>;

/** A repeatable source of choices: the same number makes the same case on every machine. */
export class FuzzRandom {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
    // Neighbouring seeds begin alike otherwise.
    for (let step = 0; step < 3; step += 1) this.#next();
  }

  /** A whole number from 0 to `most - 1`. */
  below(most: number): number {
    return Math.floor(this.#next() * most);
  }

  pick<T>(list: readonly T[]): T {
    const picked = list[this.below(list.length)];
    if (picked === undefined) throw new RangeError('nothing to pick from');
    return picked;
  }

  /** Up to `most` of the list, any of them more than once. */
  some<T>(list: readonly T[], most: number): T[] {
    return Array.from({ length: this.below(most + 1) }, () => this.pick(list));
  }

  bytes(length: number): Buffer {
    return Buffer.from(Array.from({ length }, () => this.below(256)));
  }

  // mulberry32
  #next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let value = this.#state;
    value = Math.imul(value ^ (value >>> 15), value | 1);
    value ^= value + Math.imul(value ^ (value >>> 7), value | 61);
    return ((value ^ (value >>> 14)) >>> 0) / 2 ** 32;
  }
}

/**
 * Runs cases for some minutes, in a process of its own, because what is looked for may abort or hang the process.
 * Arguments: `--minutes` (10), `--seed` (1), and `--case` to repeat the one that was reported. Exits with 1 on a finding.
 */
export async function fuzz(file: string, begin: () => FuzzCase | Promise<FuzzCase>): Promise<void> {
  const { values } = parseArgs({
    options: {
      minutes: { type: 'string', default: '10' },
      seed: { type: 'string', default: '1' },
      case: { type: 'string' },
    },
  });
  const seed = Number(values.seed);
  if (values.case !== undefined) {
    const check = await begin();
    await check(new FuzzRandom(seed + Number(values.case) * 7919), Number(values.case));
    console.log(`case ${values.case} of seed ${seed}: nothing found`);
    process.exit(0);
  }
  const minutes = Number(values.minutes);
  if (!(minutes > 0)) throw new RangeError('--minutes must be a number above 0');
  if (process.env['FUZZ_WORKER'] === undefined) await watch(file, seed);
  else await work(await begin(), seed, minutes);
}

/** Most time for one case. Longer, and the process counts as hanging. */
const longestCaseMillis = 30_000;

function watch(file: string, seed: number): Promise<void> {
  return new Promise((resolve) => {
    const child = fork(fileURLToPath(file), process.argv.slice(2), { env: { ...process.env, FUZZ_WORKER: '1' } });
    let running = 0;
    let hangs: NodeJS.Timeout | undefined;
    const finding = (what: string) => {
      process.exitCode = 1;
      console.error(`found: ${what}. Repeat it with --seed ${seed} --case ${running}`);
    };
    child.on('message', (number: number) => {
      running = number;
      clearTimeout(hangs);
      hangs = setTimeout(() => {
        finding(`case ${running} takes more than ${longestCaseMillis / 1000} s`);
        child.kill('SIGKILL');
      }, longestCaseMillis);
    });
    child.on('exit', (code, signal) => {
      clearTimeout(hangs);
      if (code !== 0 && process.exitCode !== 1) finding(`the process ended with ${signal ?? `code ${code}`}`);
      resolve();
    });
  });
}

async function work(check: FuzzCase, seed: number, minutes: number): Promise<void> {
  const begun = performance.now();
  const elapsed = () => performance.now() - begun;
  let number = 0;
  for (; elapsed() < minutes * 60_000; number += 1) {
    await new Promise<void>((resolve) => process.send?.(number, () => resolve()));
    try {
      await check(new FuzzRandom(seed + number * 7919), number);
    } catch (error) {
      console.error(inspect(error).slice(0, 5_000));
      process.exit(1);
    }
  }
  console.log(`seed ${seed}: ${number} cases in ${(elapsed() / 60_000).toFixed(1)} minutes, nothing found`);
  process.exit(0);
}
