import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

const root = resolve(import.meta.dirname, '../..');

/** What our texts do not say, and what they say instead: error messages, pages, TSDoc, comments, titles of tests. */
const words: readonly (readonly [phrase: RegExp, instead: string])[] = [
  [/(?<!there )\b(?:is|are) no (?!longer\b|more\b|less\b|later\b|greater\b|different\b|matter\b)/i, 'is not a'],
  // PostgreSQL may run as the account `nobody`.
  [/(?<!['"`]|\bas )\bnobody(?!['"`])/i, 'the passive ("is not read"), or who exactly'],
  [/\bwhoever\b/i, 'everyone who, or the part that does it'],
  [/\bThose that\b/, 'the noun: "Connections that"'],
  [/\btime-outs?\b/i, 'timeout'],
  [/\banew\b/i, 'again'],
  [/\bhitherto\b/i, 'so far'],
  [/\bto and fro\b/i, 'back and forth'],
  [/\bbecomes? of\b/i, 'happens to'],
  [/\bof it that\b/i, 'the noun itself'],
  // A sentence that begins so has lost its subject, unless it is a question.
  [/(?:\/\/|\/\*\*|^\s*\*|[.:] |\| |^- )\s*(?:Is|Are) (?!.*\?)/, 'a subject: "The file is read once"'],
];

describe('the texts of the workspace', () => {
  const found = texts().flatMap((file) => {
    const lines = readFileSync(join(root, file), 'utf8').split('\n');
    return lines.flatMap((line, index) =>
      words.flatMap(([phrase, instead]) => {
        const said = phrase.exec(line)?.[0].trim();
        return said === undefined ? [] : [`${file}:${index + 1}: "${said}". Write ${instead}`];
      }),
    );
  });

  it('say things as their readers would say them', () => {
    expect(found).toEqual([]);
  });
});

function texts(): readonly string[] {
  const tracked = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], {
    cwd: root,
    encoding: 'utf8',
  });
  return (
    [...new Set(tracked.split('\n'))]
      .filter((file) => /\.(?:ts|mjs|md)$/.test(file) && existsSync(join(root, file)))
      // What is generated, and this table.
      .filter((file) => !file.startsWith('docs/api/') && file !== 'test/workspace/words.test.ts')
  );
}
