import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { validate } from '@externalname/core/validation';
import { expect, it } from 'vitest';

const text = readFileSync(resolve(import.meta.dirname, '../deploy/follower.yaml'), 'utf8');

it('the Deployment to copy is one that the API server takes', () => {
  expect(validate(text).filter(({ severity }) => severity === 'error')).toEqual([]);
});

it('is what the guide shows', () => {
  const guide = readFileSync(resolve(import.meta.dirname, '../../../docs/guides/engines.md'), 'utf8');
  const [, shown] = /```yaml\n([\s\S]*?)```/.exec(guide) ?? [];
  expect(text.split('\n').slice(1).join('\n')).toBe(shown);
});
