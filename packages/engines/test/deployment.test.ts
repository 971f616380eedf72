import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseManifests } from '@externalname/core/manifests';
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
  const [, image] = /```dockerfile\n([\s\S]*?)```/.exec(guide) ?? [];
  const file = readFileSync(resolve(import.meta.dirname, '../deploy/Dockerfile'), 'utf8');
  expect(file.split('\n').slice(1).join('\n')).toBe(image);
});

it('runs as no more than it needs: not as root, and with nothing to write', () => {
  const deployment = parseManifests(text).find(({ kind }) => kind === 'Deployment');
  expect(JSON.stringify(deployment)).toContain('"runAsNonRoot":true');
  expect(JSON.stringify(deployment)).toContain('"readOnlyRootFilesystem":true');
});
