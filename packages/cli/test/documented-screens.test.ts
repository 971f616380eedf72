import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const screens: readonly (readonly [guide: string, screen: string])[] = [
  ['docs/guides/cli.md', 'packages/cli/src/switching/screens/switch-80.txt'],
  ['docs/guides/drill.md', 'packages/cli/src/drill/screens/drill-80.txt'],
];

describe('the guides', () => {
  it.each(screens)('%s shows the screen of %s, as it is', async (guide, screen) => {
    const [text, shown] = await Promise.all([guide, screen].map((file) => readFile(`${root}/${file}`, 'utf8')));
    expect(text).toContain(`\`\`\`text\n${shown?.trimEnd()}\n\`\`\``);
  });
});
