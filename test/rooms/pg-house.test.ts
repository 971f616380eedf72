import { readdirSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import ts from 'typescript';
import { beforeAll, describe, expect, it } from 'vitest';

// What keeps packages/pg a house that a newcomer can change. Each check is shown to refuse an offence of its own.
const root = resolve(import.meta.dirname, '../..');
const folder = join(root, 'packages/pg/src');

const longestFileLines = 600;
const mostPrivateFields = 15;

describe('the sources of pg', () => {
  let program: ts.Program;
  let sources: readonly ts.SourceFile[];

  beforeAll(() => {
    const files = readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts'))
      .map((file) => join(folder, file));
    program = programOf(files);
    sources = files.flatMap((file) => program.getSourceFile(file) ?? []);
    expect(sources.length).toBeGreaterThan(40);
  }, 60_000);

  it(`have no file of more than ${longestFileLines} lines`, () => {
    expect(sources.filter((source) => linesOf(source) > longestFileLines).map(nameOf)).toEqual([]);
  });

  it(`have no class with more than ${mostPrivateFields} private fields`, () => {
    expect(sources.flatMap(privateFieldsIn).filter(({ fields }) => fields > mostPrivateFields)).toEqual([]);
  });

  it('look at the private shape of a client of pg in driver/ alone', () => {
    const checker = program.getTypeChecker();
    const elsewhere = sources.filter((source) => !nameOf(source).startsWith('driver/'));
    expect(elsewhere.flatMap((source) => castsOfClients(source, checker))).toEqual([]);
  });

  it('set no timer but on the clock that they are given', () => {
    expect(sources.flatMap(timersOfTheMachineIn)).toEqual([]);
  });

  it('give no name at the top of a file two meanings', () => {
    expect(namesDeclaredTwice(sources)).toEqual([]);
  });
});

describe('these checks', () => {
  const planted = join(folder, 'pool/planted.ts');
  const plant = (text: string) => {
    const program = programOf([planted], { [planted]: text });
    const source = program.getSourceFile(planted);
    if (source === undefined) throw new Error('the offence was not planted');
    return { source, checker: program.getTypeChecker() };
  };

  it.each([
    [
      'a cast by way of unknown',
      'export const x = (client: pg.Client) => (client as unknown as { _ending: boolean })._ending;',
    ],
    [
      'a cast of the client of a pool',
      'export const x = (client: pg.PoolClient) => (client as { readonly _ending?: boolean })._ending;',
    ],
    [
      'a cast of a part',
      'export const x = (of: { client: pg.ClientBase }) => of.client as unknown as { processID: number };',
    ],
    [
      'an import of what driver/ keeps to itself',
      "import { internalsOf } from '../driver/client-internals.ts'; export const x = internalsOf;",
    ],
  ])('refuse %s', (_, offence) => {
    const { source, checker } = plant(`import type * as pg from 'pg';\n${offence}`);
    expect(castsOfClients(source, checker)).toHaveLength(1);
  });

  it.each([
    ['a cast to a public type of pg', 'export const x = (client: pg.Client) => client as pg.PoolClient;'],
    ['a cast of something else', 'export const x = (value: object) => value as unknown as { a: 1 };'],
  ])('allow %s', (_, text) => {
    const { source, checker } = plant(`import type * as pg from 'pg';\n${text}`);
    expect(castsOfClients(source, checker)).toEqual([]);
  });

  it.each(['setTimeout(f, 1);', 'const t = setInterval(f, 1);', 'globalThis.setTimeout(f, 1);'])(
    'refuse a timer of the machine: %s',
    (text) => {
      expect(timersOfTheMachineIn(plant(`declare const f: () => void;\n${text}`).source)).toHaveLength(1);
    },
  );

  it('count the lines of a file, the private fields of a class of both kinds, and names', () => {
    const { source } = plant(
      'class A { #a = 1; private readonly b = 2; c = 3; static #d = 4; #e() {} }\nconst B = 1;\n',
    );
    expect(linesOf(source)).toBe(2);
    expect(privateFieldsIn(source)).toEqual([{ name: 'A', file: 'pool/planted.ts', fields: 3 }]);
    const other = ts.createSourceFile(join(folder, 'other.ts'), 'interface B {}', ts.ScriptTarget.Latest);
    expect(namesDeclaredTwice([source, other])).toEqual(['B']);
  });
});

function programOf(files: readonly string[], inMemory: Readonly<Record<string, string>> = {}): ts.Program {
  const config = ts.readConfigFile(join(root, 'tsconfig.json'), ts.sys.readFile);
  const { options } = ts.parseJsonConfigFileContent(config.config, ts.sys, root);
  const host = ts.createCompilerHost(options);
  const { readFile, fileExists, getSourceFile } = host;
  host.readFile = (file) => inMemory[file] ?? readFile(file);
  // What is not planted is read once for all programs: the libraries are most of each.
  host.getSourceFile = (file, ...how) => {
    const known = file in inMemory ? undefined : parsed.get(file);
    const source = known ?? getSourceFile(file, ...how);
    if (source !== undefined && !(file in inMemory)) parsed.set(file, source);
    return source;
  };
  host.fileExists = (file) => file in inMemory || fileExists(file);
  return ts.createProgram(files, options, host);
}

const parsed = new Map<string, ts.SourceFile>();

function nameOf(source: ts.SourceFile): string {
  return relative(folder, source.fileName);
}

function linesOf(source: ts.SourceFile): number {
  return source.text.trimEnd().split('\n').length;
}

function privateFieldsIn(source: ts.SourceFile): { name: string; file: string; fields: number }[] {
  const found: { name: string; file: string; fields: number }[] = [];
  visit(source, (node) => {
    if (!ts.isClassLike(node)) return;
    const fields = node.members.filter(
      (member) =>
        ts.isPropertyDeclaration(member) &&
        (ts.isPrivateIdentifier(member.name) || (ts.getCombinedModifierFlags(member) & ts.ModifierFlags.Private) !== 0),
    );
    found.push({ name: node.name?.text ?? '', file: nameOf(source), fields: fields.length });
  });
  return found;
}

// A client may be cast to what the types of pg make public. Anything else is its private shape.
function castsOfClients(source: ts.SourceFile, checker: ts.TypeChecker): string[] {
  const found: string[] = [];
  const report = (node: ts.Node) => {
    const { line } = source.getLineAndCharacterOfPosition(node.getStart(source));
    found.push(`${nameOf(source)}:${line + 1}: ${node.getText(source)}`);
  };
  visit(source, (node) => {
    if (ts.isImportSpecifier(node) && node.name.text === 'internalsOf') report(node);
    if (!ts.isAsExpression(node) || ts.isAsExpression(node.parent)) return;
    let inner: ts.Expression = node.expression;
    while (ts.isAsExpression(inner) || ts.isParenthesizedExpression(inner)) inner = inner.expression;
    if (isClientOfPg(checker.getTypeAtLocation(inner)) && !isOfPg(checker.getTypeAtLocation(node.type))) report(node);
  });
  return found;
}

function isClientOfPg(type: ts.Type): boolean {
  if (type.isUnion()) return type.types.some(isClientOfPg);
  const named = ['Client', 'ClientBase', 'PoolClient'].includes(type.symbol?.name ?? '') && isOfPg(type);
  return named || (type.isClassOrInterface() && (type.getBaseTypes() ?? []).some(isClientOfPg));
}

function isOfPg(type: ts.Type): boolean {
  return type.symbol?.declarations?.some((each) => each.getSourceFile().fileName.includes('@types/pg/')) === true;
}

function timersOfTheMachineIn(source: ts.SourceFile): string[] {
  const found: string[] = [];
  visit(source, (node) => {
    if (!ts.isCallExpression(node) || !/(^|\.)set(Timeout|Interval)$/.test(node.expression.getText(source))) return;
    found.push(`${nameOf(source)}: ${node.getText(source)}`);
  });
  return found;
}

function namesDeclaredTwice(sources: readonly ts.SourceFile[]): string[] {
  const files = new Map<string, Set<string>>();
  for (const source of sources) {
    for (const statement of source.statements) {
      for (const name of declaredBy(statement)) {
        files.set(name, (files.get(name) ?? new Set()).add(source.fileName));
      }
    }
  }
  return [...files].filter(([, declaredIn]) => declaredIn.size > 1).map(([name]) => name);
}

function declaredBy(statement: ts.Statement): string[] {
  if (ts.isVariableStatement(statement)) {
    return statement.declarationList.declarations.flatMap(({ name }) => (ts.isIdentifier(name) ? [name.text] : []));
  }
  const isNamed =
    ts.isFunctionDeclaration(statement) ||
    ts.isClassDeclaration(statement) ||
    ts.isInterfaceDeclaration(statement) ||
    ts.isTypeAliasDeclaration(statement);
  return isNamed && statement.name !== undefined ? [statement.name.text] : [];
}

function visit(node: ts.Node, look: (node: ts.Node) => void): void {
  look(node);
  ts.forEachChild(node, (child) => visit(child, look));
}
