import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { linksToRepository, repositoryAddress, webAddress } from './package-page.ts';

describe('the address of a repository on the web', () => {
  it.each([
    ['https://host.example/owner/name.git'],
    ['git+https://host.example/owner/name.git'],
    ['https://host.example/owner/name/'],
    ['https://user:secret@host.example/owner/name.git'],
    ['git@host.example:owner/name.git\n'],
    ['ssh://git@host.example:2222/owner/name.git'],
  ])('is found in %j', (remote) => {
    expect(webAddress(remote)).toBe('https://host.example/owner/name');
  });

  it.each([[undefined], [''], ['/srv/git/name.git'], ['file:///srv/git/name.git'], ['../name']])(
    'is not in %j',
    (remote) => {
      expect(webAddress(remote)).toBeUndefined();
    },
  );
});

describe('the address of this repository', () => {
  let root: string;
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'package-page-'));
    await writeFile(join(root, 'package.json'), '{}');
  });
  afterEach(() => rm(root, { recursive: true }));
  const ci = { GITHUB_SERVER_URL: 'https://host.example', GITHUB_REPOSITORY: 'owner/name' };

  it('is what CI says', async () => {
    expect(await repositoryAddress(root, ci)).toBe('https://host.example/owner/name');
  });

  it('is what package.json says before that', async () => {
    const repository = { type: 'git', url: 'git+https://elsewhere.example/owner/name.git' };
    await writeFile(join(root, 'package.json'), JSON.stringify({ repository }));
    expect(await repositoryAddress(root, ci)).toBe('https://elsewhere.example/owner/name');
  });

  it('is not made up if nothing says it', async () => {
    expect(await repositoryAddress(root, {})).toBeUndefined();
  });
});

describe('a README on a registry', () => {
  const to = { base: 'https://host.example/owner/name/blob/v1.0.0', directory: 'packages/pg' };

  it('leads to the files of the repository', () => {
    expect(linksToRepository('See [the `pool`](../../docs/guides/pool.md#a-switch) and [LICENSE](LICENSE).', to)).toBe(
      'See [the `pool`](https://host.example/owner/name/blob/v1.0.0/docs/guides/pool.md#a-switch) and [LICENSE](https://host.example/owner/name/blob/v1.0.0/packages/pg/LICENSE).',
    );
  });

  it('keeps links that hold anywhere, and what stands in code', () => {
    const text = '[a](https://host.example) [b](#b) `[c](c.md)`\n```md\n[d](d.md)\n```\n';
    expect(linksToRepository(text, to)).toBe(text);
  });
});
