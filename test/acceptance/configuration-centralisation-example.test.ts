import { expect, it } from 'vitest';
import { tour } from '../../examples/configuration-centralisation/src/tour.ts';

it('the example of centralised configuration: one patch moves every application, each a process of its own', async () => {
  const printed: string[] = [];
  const names = ['basket', 'orders'];
  const { movedAfterMillis, ...counts } = await tour((line) => printed.push(line), names);
  expect(Object.keys(movedAfterMillis).sort()).toEqual(names);
  for (const name of names) {
    expect(printed.join('\n')).toMatch(new RegExp(`\\d ms {2}${name} +stores its rows at secondary-db.example.com`));
  }
  expect(counts).toMatchObject({ lost: 0, failed: 0 });
  expect(counts.stored).toBeGreaterThan(0);
});
