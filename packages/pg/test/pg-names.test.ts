import { createRequire } from 'node:module';
import { resolve } from 'node:path';
import * as pg from 'pg';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';
import ourDefault, * as ours from '../src/index.ts';

const require = createRequire(import.meta.url);
// Not for applications: the registry of a pool that pg keeps no more, and helpers of its own that neither its types nor its
// ES module name.
const internal = ['_pools', 'utils'];
const replaced = ['Pool', 'Client', 'native'];

describe('an import of pg that is swapped for ours', () => {
  const theirs = new Map(Object.entries({ ...require('pg'), ...pg }));
  const found = new Map<string, unknown>(Object.entries(ours));
  it.each([...theirs.keys()].filter((name) => ![...internal, 'default', 'module.exports'].includes(name)))(
    'finds %s',
    (name) => {
      expect(found.has(name)).toBe(true);
      if (!replaced.includes(name)) expect(found.get(name)).toBe(theirs.get(name));
    },
  );

  it('finds the same names in the default export', () => {
    const { default: _, ...named } = ours;
    expect({ ...ourDefault }).toEqual(named);
    expect(ourDefault.Pool).toBe(ours.Pool);
  });

  it('gets our classes, which are those of pg for instanceof', () => {
    expect(ours.Pool).not.toBe(pg.Pool);
    expect(ours.Pool.prototype).toBeInstanceOf(pg.Pool);
    expect(ours.Client.prototype).toBeInstanceOf(pg.Client);
    expect(ours.native).toBeNull();
  });

  it('finds every type, named and in the default export', () => {
    const index = resolve(import.meta.dirname, '../src/index.ts');
    const program = ts.createProgram([index], {
      module: ts.ModuleKind.NodeNext,
      moduleResolution: ts.ModuleResolutionKind.NodeNext,
      target: ts.ScriptTarget.ES2022,
      customConditions: ['@externalname/source'],
      allowImportingTsExtensions: true,
      noEmit: true,
      types: ['node'],
    });
    const checker = program.getTypeChecker();
    const exportsOf = (file: string) => {
      const source = program.getSourceFile(file);
      const symbol = source && checker.getSymbolAtLocation(source);
      return symbol === undefined ? [] : checker.getExportsOfModule(symbol);
    };
    const ownExports = exportsOf(index);
    const own = ownExports.map(({ name }) => name);
    const typesOfPg = program.getSourceFiles().find(({ fileName }) => /@types\/pg\/index\.d\.ts$/.test(fileName));
    const expected = exportsOf(typesOfPg?.fileName ?? '').map(({ name }) => name);
    expect(expected).toContain('PoolClient');
    expect(own).toEqual(expect.arrayContaining(expected));
    const byDefault = ownExports.find(({ name }) => name === 'default');
    const names = byDefault && checker.getExportsOfModule(checker.getAliasedSymbol(byDefault)).map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining(expected));
  });
});
