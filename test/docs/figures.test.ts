import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { benchmarks } from '../bench/figures/benchmarks.ts';
import { drillSvg } from '../bench/figures/drill-plot.ts';
import { drills } from '../bench/figures/drills.ts';
import { pagesWithFigures, readMeasured, withFigures, withoutFigures } from '../bench/figures/pages.ts';
import { middle, spread } from '../bench/figures/runs.ts';
import { readmes, root } from './code-blocks.ts';

const measured = readMeasured();

describe('the figures in the documentation', () => {
  it.each(pagesWithFigures())('%s says what docs/figures.json has', (page) => {
    const text = readFileSync(join(root, page), 'utf8');
    expect(text).toBe(withFigures(page, text, measured));
  });

  it.each(Object.keys(drills))('draw the drill %s as its report has it', (name) => {
    const drill = measured.drills[name];
    expect(drill?.passed).toBe(true);
    expect(readFileSync(join(root, `docs/drills/${name}.svg`), 'utf8')).toBe(drill && drillSvg(drill));
  });

  it('are those of the benchmarks that pnpm figures runs, or the page says that it has none of one yet', () => {
    const texts = pagesWithFigures().map((page) => readFileSync(join(root, page), 'utf8'));
    const without = benchmarks.filter(({ name }) =>
      texts.some((text) => text.includes(`<!-- figures:${name} -->\n\`pnpm figures\` has not measured this yet.`)),
    );
    expect([...Object.keys(measured.figures), ...without.map(({ name }) => name)].sort()).toEqual(
      benchmarks.map(({ name }) => name).sort(),
    );
  });

  it('are written into READMEs by pnpm figures, or it is known where they come from', () => {
    const claims = readmes().flatMap((page) => {
      const prose = withoutFigures(readFileSync(join(root, page), 'utf8')).replace(/^```[\s\S]*?^```/gm, '');
      return [
        ...prose.matchAll(/\d[\d.,]*(?: to \d[\d.,]*)?\s?(?:[mµ]?s|seconds|minutes|times|%|[kKMG]i?B|\/s)\b/g),
      ].map(([claim]) => `${page}: ${claim}`);
    });
    expect(claims.filter((claim) => known[claim] === undefined)).toEqual([]);
  });
});

describe('the middle of some runs', () => {
  it('stands before the smallest and the largest', () => {
    expect(spread([0.64, 0.6, 0.57, 0.6, 0.61], { digits: 2 })).toBe('0.60 (0.57 to 0.64)');
    expect(spread([12, 9, 10], { unit: 'ms' })).toBe('10 ms (9 to 12)');
  });

  it('stands alone if the runs agree', () => {
    expect(spread([5, 5, 5])).toBe('5');
    expect(spread([0.4], { unit: 's', digits: 1 })).toBe('0.4 s');
  });

  it('counts what never came as the longest', () => {
    expect(middle([null, 1, null])).toBeNull();
    expect(spread([null, 0.5, 0.4], { unit: 's', digits: 1 })).toBe('0.5 s (0.4 to never)');
    expect(spread([null, null, 3], { unit: 's', digits: 1 })).toBe('never (3.0 to never)');
    expect(spread([null, null], { unit: 's', digits: 1 })).toBe('never');
  });
});

/** Figures that no benchmark measures: where each comes from. */
const known: Readonly<Record<string, string>> = {
  'README.md: 15 to 30 seconds': 'the steps of the demo, whose pauses are drawn by lot: docs/guides/demo.md',
  'README.md: 170 MB': 'measured by hand on Linux x64: docs/guides/demo.md',
  'README.md: 720 MB': 'measured by hand on Linux x64: docs/guides/demo.md',
  'README.md: 1 s': 'the TTL that the fault matrix sets',
  'examples/hybrid/README.md: 10 seconds': 'the default of idleCheckMillis: packages/pg/README.md',
  'examples/hybrid/README.md: 30 s': 'the default of failoverTimeoutMillis: packages/pg/README.md',
  'examples/migration/README.md: 5 to 30 seconds': 'the TTLs of CoreDNS and of kubeadm: docs/guides/targets.md',
  'examples/service/README.md: 30 s': 'the default of endTimeoutMillis: packages/pg/README.md',
  'examples/service/README.md: 72 seconds': 'the default of keepAliveTimeout in the documentation of Fastify',
  'packages/core/README.md: 5 s': 'the least time between two looks at a file: resolv-conf.ts',
  'packages/kubernetes/README.md: 54 MB': 'the size of an installation of it by npm',
  'packages/pg/README.md: 3 s': 'the times of liveness.ts added up: docs/guides/pool.md',
  'packages/pg/README.md: 5 to 30 s': 'the TTLs of CoreDNS and of kubeadm: docs/guides/targets.md',
  'packages/testing/README.md: 24 MB': "the package's size on the registry",
  'packages/testing/README.md: 120 MB': 'du of a cache folder: 90 MB of programs and 31 MB of a data folder',
};
