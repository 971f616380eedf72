// Runs a command in a network of its own, from which no packet gets out:
//
//   tsx test/site/run.ts vitest run --config vitest.site.config.ts
//
// Where there can be none, it says in one line what is missing, and ends with 0: a machine without namespaces has nothing to report.
// `--required` before the command makes that an error.
import { networkProblem, runInOwnNetwork } from '../../examples/webscaler/src/network/enter.ts';

const [first, ...rest] = process.argv.slice(2);
const required = first === '--required';
const command = required ? rest : [first ?? '', ...rest];
const problem = networkProblem();
if (problem === undefined) process.exitCode = await runInOwnNetwork(command);
else {
  console.error(`test/site is skipped: ${problem}`);
  process.exitCode = required ? 1 : 0;
}
