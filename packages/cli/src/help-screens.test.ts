import { describe, expect, it } from 'vitest';
import { called } from '../test/called.ts';
import { shown } from '../test/screen.ts';

const names = ['watch', 'switch', 'follow', 'rollback', 'history', 'drill', 'dev'];
const places = [80, 120].flatMap((columns) => names.map((name) => ({ name, columns })));

describe('the help', () => {
  it.each(places)('of $name in a terminal of $columns columns', async ({ name, columns }) => {
    const { stdout, code } = await called([name, '--help'], { columns });
    await expect((await shown(stdout, columns)).screen).toMatchFileSnapshot(`screens/${name}-help-${columns}.txt`);
    expect(code).toBe(0);
  });
});
