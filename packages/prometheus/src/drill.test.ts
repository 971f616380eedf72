import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { writeDrill } from './drill.ts';
import { metrics } from './metrics.ts';

let folder: string;
let file: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'externalname-drill-'));
  file = join(folder, 'externalname.prom');
});

afterEach(() => rm(folder, { recursive: true }));

const seriesIn = async () => (await readFile(file, 'utf8')).split('\n').filter((line) => /^\w/.test(line));
const metric = metrics.drills.name;

describe('writeDrill()', () => {
  it('writes the metric that the alert reads, and leaves no other file behind', async () => {
    const before = Date.now() / 1_000;
    await writeDrill({ file, name: 'webscaler-db', passed: true });
    const text = await readFile(file, 'utf8');
    expect(text).toMatch(
      new RegExp(
        `^# HELP ${metric} .+\n# TYPE ${metric} gauge\n` +
          `${metric}\\{external_service="webscaler-db",result="passed"\\} [\\d.]+\n$`,
      ),
    );
    expect(Number(text.trim().split(' ').at(-1))).toBeGreaterThanOrEqual(before);
    expect(await readdir(folder)).toEqual(['externalname.prom']);
  });

  it('keeps when the last one passed if one fails, and what is known of other Services', async () => {
    await writeDrill({ file, name: 'webscaler-db', passed: true, at: new Date(1_000_000) });
    await writeDrill({ file, name: 'other "db"\\', passed: true, at: new Date(2_000_000) });
    await writeDrill({ file, name: 'webscaler-db', passed: false, at: new Date(3_000_000) });
    await writeDrill({ file, name: 'webscaler-db', passed: false, at: new Date(4_000_500) });
    expect(await seriesIn()).toEqual([
      `${metric}{external_service="other \\"db\\"\\\\",result="passed"} 2000`,
      `${metric}{external_service="webscaler-db",result="failed"} 4000.5`,
      `${metric}{external_service="webscaler-db",result="passed"} 1000`,
    ]);
  });

  it('refuses a file that holds anything else, and does not touch it', async () => {
    await writeFile(file, 'node_load1 0.5\n');
    await expect(writeDrill({ file, name: 'webscaler-db', passed: true })).rejects.toMatchObject({
      code: 'ERR_EXTERNALNAME_INVALID_ARGUMENT',
      message: expect.stringContaining('a file of its own'),
    });
    expect(await readFile(file, 'utf8')).toBe('node_load1 0.5\n');
  });

  it('refuses a date that is not one', async () => {
    await expect(writeDrill({ file, name: 'webscaler-db', passed: true, at: new Date('soon') })).rejects.toMatchObject({
      code: 'ERR_EXTERNALNAME_INVALID_ARGUMENT',
      message: expect.stringContaining('must be a valid Date'),
    });
  });
});
