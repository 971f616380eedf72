import { readFile } from 'node:fs/promises';
import { InvalidArgumentError } from '@externalname/core';
import { printable } from '@externalname/core/internal';
import { formatIssue, type Issue, refused, validate, validationRules } from '@externalname/core/validation';
import { clusterOptions } from '../cluster.ts';
import { choice, command, flag, text, texts } from '../command.ts';
import { exitCodes } from '../exit-codes.ts';
import type { Output } from '../output.ts';
import { textFrom } from '../stdin.ts';

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
    const linted: Linted[] = [];
    for (const file of files) {
      const manifest = file === '-' ? await textFrom(stdin, signal) : await textOf(file);
      linted.push({ file: file === '-' ? '<stdin>' : file, issues: validate(manifest, settings) });
    }
    write(output, linted);
    const all = linted.flatMap(({ issues }) => issues);
    return refused(all) || (strict && all.length > 0) ? exitCodes.failed : exitCodes.ok;
  },
});

/** The issues of one file. */
interface Linted {
  readonly file: string;
  readonly issues: readonly Issue[];
}

async function textOf(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    throw new InvalidArgumentError('file', `${file} cannot be read`, { cause });
  }
}

function write(output: Output, linted: readonly Linted[]): void {
  const { format } = output;
  if (format === 'text') show(output, linted);
  else if (format === 'sarif') output.raw(`${JSON.stringify(sarif(linted), null, 2)}\n`);
  else if (format === 'github') {
    for (const { file, issues } of linted) for (const issue of issues) output.line(annotation(file, issue));
  } else output.data({ files: linted });
}

function show(output: Output, linted: readonly Linted[]): void {
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

/** A workflow command of GitHub Actions. Its data escapes `%` and line ends, its properties `:` and `,` as well. */
function annotation(file: string, { severity, line = 1, path, message, hint, code }: Issue): string {
  const data = (value: string) => value.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
  const property = (value: string) => data(value).replaceAll(':', '%3A').replaceAll(',', '%2C');
  const where = path === '' ? '' : `${path}: `;
  return `::${severity} file=${property(file)},line=${line},title=${property(code)}::${data(`${where}${message}. ${hint}`)}`;
}

/** Static Analysis Results Interchange Format 2.1.0 (OASIS), as far as code scanning reads it. */
function sarif(linted: readonly Linted[]): object {
  const codes = [...new Set(linted.flatMap(({ issues }) => issues.map(({ code }) => code)))].sort();
  return {
    $schema: 'https://json.schemastore.org/sarif-2.1.0.json',
    version: '2.1.0',
    runs: [
      {
        tool: {
          driver: {
            name: 'externalname lint',
            rules: codes.map((id) => ({
              id,
              shortDescription: { text: id },
              help: { text: validationRules[id].hint },
              properties: { source: validationRules[id].source },
            })),
          },
        },
        results: linted.flatMap(({ file, issues }) =>
          issues.map(({ code, severity, path, message, hint, line = 1 }) => ({
            ruleId: code,
            ruleIndex: codes.indexOf(code),
            level: severity,
            message: { text: `${path === '' ? '' : `${path}: `}${message}. ${hint}` },
            locations: [
              {
                physicalLocation: {
                  artifactLocation: { uri: file.replaceAll('\\', '/') },
                  region: { startLine: line },
                },
              },
            ],
          })),
        ),
      },
    ],
  };
}
