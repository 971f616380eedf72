import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';
import { type CodeBlock, codeBlocks, root } from './code-blocks.ts';

describe('the code in the documentation', () => {
  it('compiles, with the settings of this repository', { timeout: 300_000 }, () => {
    const blocks = codeBlocks(['ts']);
    expect(blocks.length).toBeGreaterThan(50);
    expect(problemsOf(blocks)).toEqual([]);
  });
});

/** What the compiler says, each as `page:line: message`. */
function problemsOf(blocks: readonly CodeBlock[]): readonly string[] {
  const { config } = ts.readConfigFile(join(root, 'tsconfig.json'), ts.sys.readFile);
  const { options } = ts.convertCompilerOptionsFromJson(config.compilerOptions, root);
  // A block may show what nothing uses.
  const settings = { ...options, noUnusedLocals: false, noUnusedParameters: false };
  const files = new Map(blocks.map((block, index) => [placeOf(block, index), block]));
  const texts = new Map([...files].map(([file, { code }]) => [file, `${code}\nexport {};\n`]));
  const given = join(root, 'test/compat/given-libraries.d.ts');
  texts.set(given, readFileSync(join(import.meta.dirname, 'given/libraries.d.ts'), 'utf8'));
  const host = ts.createCompilerHost(settings);
  const { readFile, fileExists, getSourceFile } = host;
  host.readFile = (file) => texts.get(file) ?? readFile(file);
  host.fileExists = (file) => texts.has(file) || fileExists(file);
  host.getSourceFile = (file, version, ...more) => {
    const text = texts.get(file);
    return text === undefined ? getSourceFile(file, version, ...more) : ts.createSourceFile(file, text, version, true);
  };
  const declared = [
    join(import.meta.dirname, 'given/pages.d.ts'),
    join(root, 'test/compat/support/knex-postgres.d.ts'),
  ];
  const program = ts.createProgram([...texts.keys(), ...declared], settings, host);
  return [...files].flatMap(([file, block]) => {
    const source = program.getSourceFile(file);
    const found = [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)];
    return found.map(({ start = 0, messageText }) => {
      const line = block.line + (source?.getLineAndCharacterOfPosition(start).line ?? 0);
      return `${block.page}:${line}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`;
    });
  });
}

function placeOf({ page, code }: CodeBlock, index: number): string {
  const place =
    places.find(([pages, , mark = '']) => page.startsWith(pages) && code.includes(mark))?.[1] ?? 'test/docs';
  return join(root, place, `shown-${index}.ts`);
}

/** Where what a page imports is to be found, if not here: for all its blocks, or for those with a text. */
const places: readonly (readonly [pages: string, place: string, mark?: string])[] = [
  ['docs/libraries/nestjs.md', 'test/compat/nestjs'],
  ['docs/libraries/nextjs.md', 'test/compat/next', "'./lib/"],
  ['docs/libraries/nextjs.md', 'test/compat/next/app/shown'],
  ['docs/libraries/', 'test/compat'],
  ['docs/guides/protocols.md', 'test/compat'],
  ['docs/guides/local-cluster.md', 'examples/local-cluster/src'],
];
