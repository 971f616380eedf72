import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { checkNumber, checkText } from '@externalname/core/internal';
import { toJson } from '@externalname/core/manifests';
import { failuresInWords, figures } from '../result/figures.ts';
import type { DrillResult } from '../result/result.ts';
import { htmlReport } from './html.ts';
import { junitReport } from './junit.ts';
import { markdownReport } from './markdown.ts';

/** What a drill has found, and how it is shown. */
export interface DrillReport {
  /** For programs, and as JSON. */
  readonly result: DrillResult;
  /** The figures in words: a row each, with a cell for each switch. */
  readonly figures: readonly { readonly name: string; readonly cells: readonly string[] }[];
  /** What failed in each switch, in words. */
  readonly failures: readonly string[];
  /** Writes a second by server, drawn with characters: a text for each line. `width` is 40 to 1000 columns. @defaultValue 80 */
  plot(width?: number): readonly string[];
  /** For a pull request, or the summary of a CI job. */
  toMarkdown(): string;
  /** JUnit XML, which CI systems show as tests: a case for each check. */
  toJUnit(): string;
  /** One page with a plot that needs nothing else: no script, nothing from elsewhere; dark and light. */
  toHtml(): string;
  /** Writes `drill.html`, `drill.md`, `drill.json` and `drill.xml` into a folder, which is made if it is not there, and returns their names. */
  write(folder: string): Promise<readonly string[]>;
}

/** The report of a result, and of the plot that was drawn of it. */
export function reportOf(result: DrillResult, draw: (width: number) => readonly string[]): DrillReport {
  const { stages } = result;
  const plot = (width = 80) => {
    checkNumber('width', width, { least: 40, most: 1_000, whole: true });
    return draw(width);
  };
  const texts = {
    toMarkdown: () => markdownReport(result, plot()),
    toJUnit: () => junitReport(result),
    toHtml: () => htmlReport(result),
  };
  return {
    result,
    figures: figures.map(([name, of]) => ({ name, cells: stages.map(of) })),
    failures: stages.flatMap((stage) => failuresInWords(stage).map((text) => `${stage.name}: ${text}`)),
    plot,
    ...texts,
    write: async (folder) => {
      checkText('folder', folder);
      const files = {
        'drill.html': texts.toHtml(),
        'drill.md': texts.toMarkdown(),
        'drill.json': toJson(result),
        'drill.xml': texts.toJUnit(),
      };
      await mkdir(folder, { recursive: true });
      await Promise.all(Object.entries(files).map(([name, text]) => writeFile(join(folder, name), text)));
      return Object.keys(files);
    },
  };
}
