import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import manifest from '../package.json' with { type: 'json' };

const { '.': _root, './package.json': _manifest, './internal-testing': _tests, ...others } = manifest.exports;
const subpaths = Object.keys(others).map((subpath) => subpath.slice(2));
const open = subpaths.filter((name) => !name.startsWith('internal'));

describe('the subpaths of core', () => {
  it.each(subpaths)('%s is the file of its name', (name) => {
    const file = (folder: string, ending: string) => `./${folder}/${name}.${ending}`;
    expect(Object.entries(others).find(([subpath]) => subpath === `./${name}`)?.[1]).toEqual({
      '@externalname/source': file('src', 'ts'),
      import: { types: file('dist', 'd.ts'), default: file('dist', 'js') },
      require: { types: file('dist', 'd.cts'), default: file('dist', 'cjs') },
    });
  });

  it('have their types for compilers that know no `exports`', () => {
    expect(Object.entries(manifest.typesVersions['*'])).toEqual(open.map((name) => [name, [`./dist/${name}.d.ts`]]));
  });

  it('offer a name, of a value or a type, at one place', () => {
    const names = ['index', ...open].flatMap(namesOf);
    expect(names.length).toBeGreaterThan(100);
    expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([]);
  });

  it('leave the root to what most users need', () => {
    expect(namesOf('index').length).toBeLessThanOrEqual(60);
  });
});

function namesOf(face: string): readonly string[] {
  const source = readFileSync(new URL(`${face}.ts`, import.meta.url), 'utf8');
  return [...source.matchAll(/^export (?:type )?\{([^}]*)\}/gm)].flatMap(([, list = '']) =>
    list
      .split(',')
      .map((name) => name.trim().replace(/^type /, ''))
      .filter((name) => name !== ''),
  );
}
