import { printable } from '@externalname/core/internal';
import {
  type FileIssues,
  formatIssue,
  githubAnnotations,
  type Issue,
  refused,
  sarifLog,
  validate,
} from '@externalname/core/validation';
import { clusterOptions } from '../cluster.ts';
import { choice, command, flag, text, texts } from '../command.ts';
import { exitCodes } from '../exit-codes.ts';
import type { Output } from '../output.ts';
import { textOf } from '../stdin.ts';

/** What the API server would refuse, and what it accepts although it cannot work. */
export const lint = command({
  arguments: [{ name: '<file...>', summary: 'manifests as YAML or JSON; - for stdin', complete: 'files' }],
  about:
    'Errors are in the words of the API server; warnings are about what it accepts. Exit status 1 for an error, and with --strict for a warning.',
  options: {
    allowedTargets: texts('--allowed-targets <hosts>', 'hosts that Services may point to'),
    kubernetesVersion: text(
      '--kubernetes-version <version>',
      'version whose rules apply, 1.35; default: the newest known',
    ),
    clusterDomain: clusterOptions.clusterDomain,
    strict: flag('--strict', 'warnings count as errors'),
    output: choice('-o, --output <format>', 'how the issues are written', ['text', 'json', 'yaml', 'sarif', 'github']),
  },
  examples: [
    {
      command: 'lint k8s/*.yaml --allowed-targets primary-db.example.com,secondary-db.example.com',
      does: 'in a pipeline',
    },
    { command: 'lint - < service.yaml', does: 'from stdin' },
    { command: 'lint k8s/*.yaml -o sarif > externalname.sarif', does: 'for code scanning' },
    { command: 'lint k8s/*.yaml -o github', does: 'annotations in a GitHub workflow' },
  ],
  async run({ arguments: files, options, output, stdin, signal }) {
    const { allowedTargets, kubernetesVersion, clusterDomain, strict } = options;
    const settings = { kubernetesVersion, clusterDomain, ...(allowedTargets.length > 0 && { allowedTargets }) };
    const linted: FileIssues[] = [];
    for (const file of files) {
      const issues = validate(await textOf(file, stdin, signal), settings);
      linted.push({ file: file === '-' ? '<stdin>' : file, issues });
    }
    if (output.isText) show(output, linted);
    else if (output.format === 'sarif')
      output.raw(`${JSON.stringify(sarifLog(linted, { tool: 'externalname lint' }), null, 2)}\n`);
    else if (output.format === 'github') for (const line of githubAnnotations(linted)) output.line(line);
    else output.data({ files: linted });
    const all = linted.flatMap(({ issues }) => issues);
    return refused(all) || (strict && all.length > 0) ? exitCodes.failed : exitCodes.ok;
  },
});

function show(output: Output, linted: readonly FileIssues[]): void {
  for (const { file, issues } of linted) {
    for (const issue of issues) {
      output.paragraph(`${file}: ${printable(formatIssue(issue))}`, {
        tone: issue.severity === 'error' ? 'bad' : 'warning',
      });
      const hint = issue.hint
        .trimEnd()
        .split('\n')
        .map((line) => printable(line));
      // A hint of many lines is a manifest.
      if (hint.length === 1) output.paragraph(hint.join(''), { indent: 4 });
      else for (const line of hint) output.line(`    ${line}`);
    }
  }
  const count = (severity: Issue['severity']) =>
    linted.flatMap(({ issues }) => issues).filter((issue) => issue.severity === severity).length;
  const [errors, warnings] = [count('error'), count('warning')];
  const summary = `${counted(linted.length, 'file')}: ${counted(errors, 'error')}, ${counted(warnings, 'warning')}`;
  output.line(output.style(errors > 0 ? 'bad' : 'good', summary));
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
