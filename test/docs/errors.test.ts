import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';

const root = resolve(import.meta.dirname, '../..');
const rows = readRows();
const sources = productionSources();
const raised = new Set(sources.flatMap(({ source }) => literalCodes(source)));

describe('docs/errors.md', () => {
  it('lists every code that the sources raise', () => {
    const listed = new Set(rows.map((row) => row.code));
    expect([...raised].filter((code) => !listed.has(code)).sort()).toEqual([]);
  });

  it('lists none that nothing raises', () => {
    expect(rows.map((row) => row.code).filter((code) => !raised.has(code))).toEqual([]);
  });

  it('lists each once', () => {
    const codes = rows.map((row) => row.code);
    expect(codes.filter((code, index) => codes.indexOf(code) !== index)).toEqual([]);
  });

  it('says for each what is known of the work and what to do', () => {
    for (const { code, outcome, toDo } of rows) {
      expect(outcome, code).toMatch(/^(?:(?:`not-executed`|`unknown`|none)(?:, | or |$))+$/);
      expect(toDo.length, code).toBeGreaterThan(20);
    }
  });
});

describe('the pages', () => {
  it('name no code that nothing raises', () => {
    const pages = readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' }).filter((page) =>
      /^(?!api\/|site\/).*\.md$/.test(page),
    );
    const unknown = pages.flatMap((page) => {
      const named = readFileSync(join(root, 'docs', page), 'utf8').match(/ERR_EXTERNALNAME_[A-Z_]*[A-Z]\b/g) ?? [];
      return named.filter((code) => !raised.has(code)).map((code) => `${page}: ${code}`);
    });
    expect(unknown).toEqual([]);
  });
});

describe('error codes', () => {
  it('are written out in the sources, so that a search finds them', () => {
    // The one pattern is the type of all codes; a code put together at run time could not be looked up.
    const patterns = sources.flatMap(({ file, source }) => templatesWithCode(source).map((text) => `${file}: ${text}`));
    expect(patterns).toEqual([]);
  });
});

interface Row {
  readonly code: string;
  readonly outcome: string;
  readonly toDo: string;
}

function readRows(): readonly Row[] {
  const text = readFileSync(join(root, 'docs/errors.md'), 'utf8');
  return [...text.matchAll(/^\| `(ERR_EXTERNALNAME_[A-Z0-9_]+)` \|(.*)\|$/gm)].map(([, code = '', rest = '']) => {
    const cells = rest.split('|').map((cell) => cell.trim());
    return { code, outcome: cells[1] ?? '', toDo: cells[2] ?? '' };
  });
}

function productionSources(): readonly { file: string; source: ts.SourceFile }[] {
  return readdirSync(join(root, 'packages'))
    .flatMap((name) =>
      readdirSync(join(root, 'packages', name, 'src'), { recursive: true, encoding: 'utf8' }).map((file) =>
        join('packages', name, 'src', file),
      ),
    )
    .filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts'))
    .map((file) => ({ file, text: readFileSync(join(root, file), 'utf8') }))
    .filter(({ text }) => text.includes('ERR_EXTERNALNAME_'))
    .map(({ file, text }) => ({ file, source: ts.createSourceFile(file, text, ts.ScriptTarget.Latest, false) }));
}

// Literals only: a comment may name a code of another package or an older one.
function literalCodes(source: ts.SourceFile): readonly string[] {
  const codes: string[] = [];
  visit(source, (node) => {
    if (ts.isStringLiteralLike(node) && /^ERR_EXTERNALNAME_[A-Z0-9_]*[A-Z0-9]$/.test(node.text)) codes.push(node.text);
  });
  return codes;
}

function templatesWithCode(source: ts.SourceFile): readonly string[] {
  const found: string[] = [];
  visit(source, (node) => {
    if (ts.isTemplateExpression(node) && node.head.text.startsWith('ERR_EXTERNALNAME_')) {
      found.push(node.getText(source));
    }
  });
  return found;
}

function visit(node: ts.Node, see: (node: ts.Node) => void): void {
  see(node);
  ts.forEachChild(node, (child) => visit(child, see));
}
