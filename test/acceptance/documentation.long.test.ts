import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it, vi } from 'vitest';
import { codeBlocks, root } from '../docs/code-blocks.ts';

// What documentation.test.ts leaves out because it takes long.
it('the drill of the guide runs', async () => {
  const drills = codeBlocks(['ts']).filter(
    ({ page, code }) => page === 'docs/guides/drill.md' && code.includes('runDrill'),
  );
  expect(drills).toHaveLength(1);
  const folder = join(root, 'test/docs/.shown-long');
  const log = vi.spyOn(console, 'log').mockImplementation(() => undefined);
  try {
    await mkdir(folder, { recursive: true });
    const file = join(folder, 'drill.ts');
    await writeFile(file, drills[0]?.code ?? '');
    await import(/* @vite-ignore */ file);
  } finally {
    log.mockRestore();
    await rm(folder, { recursive: true, force: true });
  }
});
