import { ownOptions } from '../input.ts';
import { aNumber, aText, checkOptions, listOf, objectOf, optional } from '../shape.ts';
import type { Issue } from './issue.ts';
import { rules } from './rules.ts';

/** The issues of one file, for {@link sarifLog} and {@link githubAnnotations}. */
export interface FileIssues {
  /** Its path, as it is shown: relative to the repository for tools that find the line by it. */
  readonly file: string;
  /** What `validate()` found in it. */
  readonly issues: readonly Issue[];
}

/** See {@link sarifLog}. */
export interface SarifLogOptions {
  /** Name of the tool that the log is from. @defaultValue `externalname` */
  tool?: string | undefined;
}

/**
 * Issues as a log in the Static Analysis Results Interchange Format 2.1.0, as far as code scanning reads it: to be written as JSON.
 *
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT`
 *
 * Source: OASIS, "Static Analysis Results Interchange Format (SARIF) Version 2.1.0".
 *
 * @example
 * ```ts
 * const issues = validate('kind: Service');
 * console.log(JSON.stringify(sarifLog([{ file: 'k8s/service.yaml', issues }]), null, 2));
 * ```
 */
export function sarifLog(files: readonly FileIssues[], given: SarifLogOptions = {}): object {
  checkFiles('files', files);
  const options = ownOptions(given);
  checkOptions(options, { tool: optional(aText) });
  const codes = [...new Set(files.flatMap(({ issues }) => issues.map(({ code }) => code)))].sort();
  return {
    $schema: 'https://json.schemastore.org/sarif-2.1.0.json',
    version: '2.1.0',
    runs: [
      {
        tool: {
          driver: {
            name: options.tool ?? 'externalname',
            rules: codes.map((id) => {
              const rule = Object.hasOwn(rules, id) ? rules[id] : undefined;
              return {
                id,
                shortDescription: { text: id },
                ...(rule && { help: { text: rule.hint }, properties: { source: rule.source } }),
              };
            }),
          },
        },
        results: files.flatMap(({ file, issues }) =>
          issues.map((issue) => ({
            ruleId: issue.code,
            ruleIndex: codes.indexOf(issue.code),
            level: issue.severity,
            message: { text: sentence(issue) },
            locations: [
              {
                physicalLocation: {
                  artifactLocation: { uri: file.replaceAll('\\', '/') },
                  region: { startLine: issue.line ?? 1 },
                },
              },
            ],
          })),
        ),
      },
    ],
  };
}

/**
 * Issues as annotations of a GitHub workflow: a line for each, to be written to stdout of a step.
 *
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT`
 *
 * Source: GitHub documentation, "Workflow commands for GitHub Actions", section "Setting an error message".
 *
 * @example
 * ```ts
 * for (const line of githubAnnotations([{ file: 'k8s/service.yaml', issues: validate('kind: Service') }])) console.log(line);
 * ```
 */
export function githubAnnotations(files: readonly FileIssues[]): string[] {
  checkFiles('files', files);
  // Data escapes `%` and line ends, a property `:` and `,` as well.
  const data = (value: string) => value.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
  const property = (value: string) => data(value).replaceAll(':', '%3A').replaceAll(',', '%2C');
  return files.flatMap(({ file, issues }) =>
    issues.map((issue) => {
      const { severity, line = 1, code } = issue;
      return `::${severity} file=${property(file)},line=${line},title=${property(code)}::${data(sentence(issue))}`;
    }),
  );
}

function sentence({ path, message, hint }: Issue): string {
  return `${path === '' ? '' : `${path}: `}${message}. ${hint}`;
}

const checkFiles = listOf(
  objectOf({
    file: aText,
    issues: listOf(
      objectOf({ code: aText, severity: aText, path: aText, message: aText, hint: aText, line: optional(aNumber()) }),
    ),
  }),
);
