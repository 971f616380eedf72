import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { toJson } from '@externalname/core/manifests';
import { htmlReport } from './report-html.ts';
import { junitReport } from './report-junit.ts';
import { markdownReport } from './report-markdown.ts';
import type { DrillResult } from './result.ts';

/** Writes the four reports into a folder, which is made if it is not there, and returns their names. */
export async function writeReports(
  folder: string,
  result: DrillResult,
  plot: readonly string[],
): Promise<readonly string[]> {
  const files = {
    'drill.html': htmlReport(result),
    'drill.md': markdownReport(result, plot),
    'drill.json': toJson(result),
    'drill.xml': junitReport(result),
  };
  await mkdir(folder, { recursive: true });
  await Promise.all(Object.entries(files).map(([name, text]) => writeFile(join(folder, name), text)));
  return Object.keys(files);
}
