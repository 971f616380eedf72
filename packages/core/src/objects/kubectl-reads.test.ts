import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { refused, validate } from '../validation/index.ts';
import { parseManifests } from './index.ts';

/** A text, and what the real kubectl made of it (`test/contract` asks it again). */
interface KubectlReads {
  readonly name: string;
  readonly text: string;
  readonly kubectl: { readonly taken: true; readonly objects: readonly unknown[] } | { readonly taken: false };
  /** Why the text is refused here although kubectl takes it. */
  readonly ours?: string;
}

const table = new URL('./cases/kubectl-reads.json', import.meta.url);
const cases = JSON.parse(readFileSync(table, 'utf8'), (_, value: unknown) =>
  value === 0 ? 0 : value,
) as KubectlReads[];
const byName = cases.map((entry) => [entry.name, entry] as const);

describe('a text is read as kubectl reads it', () => {
  it.each(byName.filter(([, { kubectl, ours }]) => kubectl.taken && ours === undefined))('%s', (_, entry) => {
    expect(parseManifests(entry.text)).toEqual(entry.kubectl.taken && entry.kubectl.objects);
    expect(textErrors(entry.text)).toEqual([]);
  });
});

describe('a text is refused as kubectl refuses it', () => {
  it.each(byName.filter(([, { kubectl }]) => !kubectl.taken))('%s', (_, { text }) => {
    expect(validate(text).filter((issue) => refused([issue]))).not.toEqual([]);
    // What is wrong with a field, `validate` alone says.
    if (text === badField) return;
    expect(() => parseManifests(text)).toThrow(expect.objectContaining({ code: 'ERR_EXTERNALNAME_MANIFEST_SYNTAX' }));
  });
});

const badField = 'apiVersion: v1\nkind: Service\nmetadata: x\n';

describe('a text is refused on purpose although kubectl takes it', () => {
  it.each(byName.flatMap(([name, { ours, text }]) => (ours ? [[name, ours, text] as const] : [])))(
    '%s, because %s',
    (_name, _because, text) => {
      expect(() => parseManifests(text)).toThrow(expect.objectContaining({ code: 'ERR_EXTERNALNAME_MANIFEST_SYNTAX' }));
    },
  );
});

/** What `validate` says of the text itself, apart from warnings. */
function textErrors(text: string) {
  return validate(text).filter((issue) => issue.code.startsWith('yaml-') && refused([issue]));
}
