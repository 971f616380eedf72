// Makes the declarations that tsup wrote smaller. Runs after tsup, in the folder of a package. See docs/decisions/0006-two-formats.md.
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import ts from 'typescript';

const dist = resolve('dist');

shareBetweenFormats();
copyTypesOf('kubernetes-types', 'kubernetes');

/**
 * tsup writes each declaration twice, for ESM and for CJS. An ES module may take its types from a CommonJS module, and not the other
 * way round, so the declarations for ESM become one line. A package with a default export keeps both: there the formats differ.
 */
function shareBetweenFormats(): void {
  const entries = entriesOf(JSON.parse(readFileSync('package.json', 'utf8')));
  const files = readdirSync(dist).filter((file) => file.endsWith('.d.ts'));
  if (files.some((file) => /\bas default\b|\bexport default\b/.test(readFileSync(join(dist, file), 'utf8')))) return;
  for (const file of files) {
    if (!entries.has(file)) rmSync(join(dist, file));
    else writeFileSync(join(dist, file), `export * from './${file.replace(/\.d\.ts$/, '')}.cjs';\n`);
  }
}

function entriesOf({ exports }: { exports: Record<string, string | { import?: { types?: string } }> }): Set<string> {
  const types = Object.values(exports).map((target) => (typeof target === 'string' ? undefined : target.import?.types));
  return new Set(types.map((path) => path?.replace('./dist/', '') ?? ''));
}

/**
 * Copies the types of a package that the declarations mention, and those that these mention, into one file beside them: users need
 * not install a megabyte for a few types. Of each comment the first sentence stays.
 */
function copyTypesOf(name: string, file: string): void {
  const mentions = new RegExp(`(import|export) (?:type )?\\{([^}]*)\\} from '(${name}/[^']+)';`, 'g');
  const users = readdirSync(dist).filter((each) => /\.d\.c?ts$/.test(each));
  const wanted = new Map<string, Set<string>>();
  for (const user of users) {
    const text = readFileSync(join(dist, user), 'utf8');
    for (const [, , names = '', module = ''] of text.matchAll(mentions)) {
      const known = wanted.get(module) ?? new Set();
      for (const each of names.split(',')) known.add(each.trim().replace(/^type | as .*$/g, ''));
      wanted.set(module, known);
    }
    writeFileSync(join(dist, user), text.replaceAll(mentions, `$1 {$2} from './${file}.cjs';`));
  }
  if (wanted.size === 0) return;
  const { version, license } = JSON.parse(readFileSync(join('node_modules', name, 'package.json'), 'utf8'));
  const head = `// node_modules/${name}/index.d.ts\n// From ${name} ${version} (${license}): what this package mentions, with the first sentence of each comment.\n`;
  writeFileSync(join(dist, `${file}.d.cts`), head + closure(wanted).map(shortened).join('\n'));
}

/** The declarations of these names and of everything that they refer to, by name. */
function closure(wanted: ReadonlyMap<string, ReadonlySet<string>>): readonly string[] {
  const options: ts.CompilerOptions = {
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
  };
  const files = new Map([...wanted.keys()].map((module) => [module, fileOf(module, options)]));
  const program = ts.createProgram([...files.values()], { ...options, noLib: true, types: [] });
  const checker = program.getTypeChecker();
  const found = new Map<string, ts.Declaration>();

  const take = (symbol: ts.Symbol | undefined) => {
    const target = symbol && symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
    const declaration = target?.declarations?.[0];
    if (target === undefined || declaration === undefined || ts.isTypeParameterDeclaration(declaration)) return;
    const known = found.get(target.name);
    if (known === declaration) return;
    if (known !== undefined) throw new Error(`two types are called ${target.name}`);
    found.set(target.name, declaration);
    visit(declaration);
  };
  const visit = (node: ts.Node) => {
    if (ts.isTypeReferenceNode(node)) take(checker.getSymbolAtLocation(node.typeName));
    if (ts.isExpressionWithTypeArguments(node)) take(checker.getSymbolAtLocation(node.expression));
    ts.forEachChild(node, visit);
  };

  for (const [module, names] of wanted) {
    const source = program.getSourceFile(files.get(module) ?? '');
    const exported = checker.getExportsOfModule(checker.getSymbolAtLocation(source as ts.SourceFile) as ts.Symbol);
    for (const name of names) {
      const symbol = exported.find((each) => each.name === name);
      if (symbol === undefined) throw new Error(`${module} has no ${name}`);
      take(symbol);
    }
  }
  return [...found].sort(([one], [other]) => (one < other ? -1 : 1)).map(([, declaration]) => textOf(declaration));
}

function fileOf(module: string, options: ts.CompilerOptions): string {
  const { resolvedModule } = ts.resolveModuleName(module, join(dist, 'index.d.ts'), options, ts.sys);
  if (resolvedModule === undefined) throw new Error(`${module} is not installed`);
  return resolvedModule.resolvedFileName;
}

function textOf(declaration: ts.Declaration): string {
  const source = declaration.getSourceFile();
  return source.text.slice(declaration.getStart(source, true), declaration.end);
}

function shortened(text: string): string {
  return `${text.replaceAll(/\/\*\*([\s\S]*?)\*\//g, (_, inner: string) => `/** ${firstSentence(inner)} */`)}\n`;
}

function firstSentence(comment: string): string {
  const text = comment.replaceAll(/\s*\n\s*\*? ?/g, ' ').trim();
  return text.split(/(?<=[^.]\.)\s+(?=[A-Z`])/)[0] ?? text;
}
