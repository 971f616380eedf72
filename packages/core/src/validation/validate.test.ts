import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { serviceIssues, validate } from './validate.ts';

interface Case {
  name: string;
  op?: 'create' | 'update';
  old?: object;
  input: object;
  valid: boolean;
  validLegacy?: boolean;
  field?: string;
  reasonType?: string;
  errors?: { field: string; reasonType: string }[];
  warnings?: string[];
  hint?: string;
  kubernetesVersion?: string;
}

function cases(file: string): Case[] {
  const read = JSON.parse(readFileSync(new URL(`./cases/${file}`, import.meta.url), 'utf8'), (_, value) => {
    // A long text stands in the tables as what it is made of.
    const repeat = value?.$repeat;
    return Array.isArray(repeat) ? String(repeat[0]).repeat(Number(repeat[1])) : value;
  });
  return read as Case[];
}

function causes(input: object, previous?: object, kubernetesVersion?: string) {
  return serviceIssues(input, previous, { kubernetesVersion })
    .filter(({ severity }) => severity === 'error')
    .map(({ path, reason }) => ({ field: path, reasonType: reason }));
}

describe.each(['externalname-validation.json', 'own-cases.json'])('the table %s', (file) => {
  it.each(cases(file).map((entry) => [entry.name, entry] as const))('%s', (_, entry) => {
    const found = causes(entry.input, entry.old, entry.kubernetesVersion);
    if (entry.valid) expect(found).toEqual([]);
    else if (entry.errors) expect(found).toEqual(expect.arrayContaining(entry.errors));
    else expect(found).toContainEqual({ field: entry.field, reasonType: entry.reasonType });
    if (entry.errors) expect(found).toHaveLength(entry.errors.length);
    const warnings = validate(entry.input, { previous: entry.old }).filter(({ severity }) => severity === 'warning');
    expect(warnings.map(({ path }) => path)).toEqual(expect.arrayContaining(entry.warnings ?? []));
    expect(warnings.map(({ code }) => code)).toEqual(expect.arrayContaining(entry.hint?.split(',') ?? []));
  });
});

describe('the table of Service names', () => {
  const spec = { type: 'ExternalName', externalName: 'db.example.com' };
  const named = cases('service-names.json').flatMap((entry) => [
    { entry, kubernetesVersion: '1.36', valid: entry.valid },
    { entry, kubernetesVersion: '1.35', valid: entry.validLegacy },
  ]);
  it.each(named.map((row) => [row.entry.name, row.kubernetesVersion, row] as const))(
    '%s, Kubernetes %s',
    (_, kubernetesVersion, { entry, valid }) => {
      const found = causes({ spec, ...entry.input }, undefined, kubernetesVersion);
      if (valid) expect(found).toEqual([]);
      else expect(found).toContainEqual({ field: entry.field, reasonType: entry.reasonType });
    },
  );
});
