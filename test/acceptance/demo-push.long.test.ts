import { expect, it } from 'vitest';
import { DemoProcess } from './demo-process.ts';

it('with --push every worker writes from the first moment: what the API client loads is loaded before', async () => {
  await using demo = await DemoProcess.start(['--push']);
  const [, begins] = await demo.says(/^ *(\d+\.\d\d) s {2}.*20 workers, in a process/m);
  const [, allWrite] = await demo.says(/^ *(\d+\.\d\d) s {2}.*every worker writes to primary-db/m);
  expect(Number(allWrite) - Number(begins)).toBeLessThan(1.5);
});
