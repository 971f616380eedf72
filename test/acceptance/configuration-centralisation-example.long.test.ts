import { expect, it } from 'vitest';
import { applications } from '../../examples/configuration-centralisation/src/applications.ts';
import { tour } from '../../examples/configuration-centralisation/src/tour.ts';

it('the example of centralised configuration: ten applications move with one patch, and lose nothing', async () => {
  const { movedAfterMillis, lost, failed } = await tour(() => undefined, applications);
  expect(Object.keys(movedAfterMillis).sort()).toEqual(applications);
  expect({ lost, failed }).toEqual({ lost: 0, failed: 0 });
});
