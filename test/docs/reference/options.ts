// Every option that a public interface takes, from the TSDoc of the sources, as one table: the page `options` of the site.
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import ts from 'typescript';

export const root: string = resolve(import.meta.dirname, '../../..');

/** One option, as its TSDoc has it. */
export interface Option {
  readonly package: string;
  /** The interface, as users import it. */
  readonly of: string;
  /** What it extends, as the source has it. */
  readonly extends: readonly string[];
  readonly name: string;
  readonly type: string;
  readonly required: boolean;
  readonly defaultValue: string;
  readonly about: string;
}

const packages = ['pg', 'core', 'kubernetes', 'engines', 'http', 'prometheus', 'doctor', 'drill', 'testing'];

/** The options of all packages, in the order in which the sources have them. */
export function allOptions(): readonly Option[] {
  return packages.flatMap((name) => {
    const faces = publicInterfaces(name);
    return sourcesOf(name)
      .flatMap((source) => source.statements.filter(ts.isInterfaceDeclaration).map((face) => ({ source, face })))
      .filter(({ face }) => faces.has(face.name.text))
      .flatMap(({ source, face }) =>
        face.members.filter(ts.isPropertySignature).map((member) => optionOf(name, source, face, member)),
      )
      .sort((one, other) => order(one.of) - order(other.of));
  });
}

/** The page, whole. */
export function optionsPage(options: readonly Option[] = allOptions()): string {
  const rows = options.map(({ of, name, type, required, defaultValue, about, package: from }) => {
    const cells = [
      `\`${name}\`<br>${code(type)}`,
      prose(about),
      required ? 'required' : prose(defaultValue),
      `\`${of}\` of ${from}`,
    ];
    return `| ${cells.join(' | ')} |`;
  });
  const combined = new Map(
    options.filter((option) => option.extends.length > 0).map((option) => [option.of, option.extends]),
  );
  const more = [...combined].map(
    ([of, those]) => `- \`${of}\`: ${those.map((each) => `\`${each.replaceAll(/\s+/g, ' ')}\``).join(', ')}`,
  );
  return `---
pageClass: wide-table
aside: false
---

# Options

Every option of every package, with its unit and default, as the sources have it. What \`pg\` has by itself (\`user\`, \`max\`, \`ssl\`, ...) is in
[its documentation](https://node-postgres.com/apis/pool). Environment variables: [environment](guides/environment.md). Options of the command:
[the command](guides/cli.md), and \`--help\`.

| option, type | what it is for | default | of |
| --- | --- | --- | --- |
${rows.join('\n')}

## What takes the options of others, too

${more.join('\n')}
`;
}

/** The names of the interfaces of options that a package shows, as its API reports have them. */
function publicInterfaces(name: string): ReadonlySet<string> {
  const reports = readdirSync(join(root, 'docs/api')).filter((file) => file.startsWith(`${name}.`));
  const names = reports.flatMap((file) => [
    ...readFileSync(join(root, 'docs/api', file), 'utf8').matchAll(
      /^export interface (\w+(?:Options|Thresholds)|BuilderChecks|ManifestName|HttpAccess|CnpgCluster)\b/gm,
    ),
  ]);
  // What errors are made with is for those who raise them.
  return new Set(names.map(([, found = '']) => found).filter((found) => !found.endsWith('ErrorOptions')));
}

function sourcesOf(name: string): readonly ts.SourceFile[] {
  const folder = join(root, 'packages', name, 'src');
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts'))
    .sort()
    .map((file) => ts.createSourceFile(file, readFileSync(join(folder, file), 'utf8'), ts.ScriptTarget.Latest, true));
}

function optionOf(
  name: string,
  source: ts.SourceFile,
  face: ts.InterfaceDeclaration,
  member: ts.PropertySignature,
): Option {
  const [comment] = ts.getJSDocCommentsAndTags(member).filter(ts.isJSDoc);
  const tag = comment?.tags?.find(({ tagName }) => tagName.text === 'defaultValue');
  return {
    package: name,
    of: face.name.text,
    extends: face.heritageClauses?.flatMap(({ types }) => types.map((type) => type.getText(source))) ?? [],
    name: member.name.getText(source),
    type: (member.type?.getText(source) ?? 'unknown').replace(/\s*\|\s*undefined$/, ''),
    required: member.questionToken === undefined,
    defaultValue: textOf(tag?.comment),
    about: textOf(comment?.comment),
  };
}

function textOf(comment: string | ts.NodeArray<ts.JSDocComment> | undefined): string {
  return (ts.getTextOfJSDocComment(comment) ?? '').replaceAll(/\s+/g, ' ').trim();
}

/** A cell of a table ends at the next bar. */
function prose(text: string): string {
  return text.replaceAll(/\{@link(?:code|plain)? ([^}|\s]+)[^}]*\}/g, '`$1`').replaceAll('|', '\\|');
}

function code(text: string): string {
  return `\`${text.replaceAll(/\s+/g, ' ').replaceAll('|', '\\|')}\``;
}

/** The options that most people need come first. */
function order(of: string): number {
  const first = [
    'PoolOptions',
    'BalancedPoolOptions',
    'ReaderOptions',
    'DispatcherOptions',
    'KubernetesSourceOptions',
    'SwitchTargetOptions',
  ];
  const index = first.indexOf(of);
  return index < 0 ? first.length : index;
}
