import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { metrics } from '../../packages/prometheus/src/index.ts';
import { allOptions, optionsPage, root } from './reference/options.ts';

const read = (file: string) => readFileSync(join(root, file), 'utf8');
const sources = readdirSync(join(root, 'packages'))
  .flatMap((name) =>
    readdirSync(join(root, 'packages', name, 'src'), { recursive: true, encoding: 'utf8' }).map((file) =>
      join('packages', name, 'src', file),
    ),
  )
  .filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts'))
  .map(read);
/** Each match once, in order. */
const found = (texts: readonly string[], pattern: RegExp) =>
  [...new Set(texts.flatMap((text) => [...text.matchAll(pattern)].map(([, name = '']) => name)))].sort();

const options = allOptions();
const page = optionsPage(options);

describe('the table of options', () => {
  it('has every interface of options that a package shows', () => {
    // What only combines others has no options of its own.
    const shown = found(
      readdirSync(join(root, 'docs/api')).map((file) => read(`docs/api/${file}`)),
      /^export interface (\w+Options)\b[^{]*\{\n(?!\})/gm,
    ).filter((name) => !name.endsWith('ErrorOptions'));
    expect(shown.length).toBeGreaterThan(80);
    expect(shown.filter((name) => !page.includes(` | \`${name}\` of `))).toEqual([]);
  });

  it('has every option of the pool', () => {
    const names = options.filter(({ of }) => of === 'PoolOptions');
    expect(names.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['service', 'failoverTimeoutMillis', 'reader']),
    );
  });

  it('says of each what it is for', () => {
    expect(options.length).toBeGreaterThan(300);
    expect(options.filter(({ about }) => about.length < 10).map(({ of, name }) => `${of}.${name}`)).toEqual([]);
  });

  it('has a unit for each that is a time', () => {
    const times = options.filter(({ name, type }) => /millis|seconds|ttl/i.test(name) && type.includes('number'));
    expect(times.length).toBeGreaterThan(50);
    const unitless = times.filter(({ about }) => !/millisecond|second|minute|hour/i.test(about));
    expect(unitless.map(({ of, name }) => `${of}.${name}`)).toEqual([]);
  });
});

describe('docs/events.md', () => {
  const channels = found(sources, /new EventChannel<[^(]*\(\s*'(externalname:[a-z:-]+)'/g);
  const listed = found([read('docs/events.md')], /^\| `(externalname:[a-z:-]+)` \| .{10}/gm);

  it('lists every channel, with what it says and when', () => {
    expect(channels.length).toBeGreaterThan(30);
    expect(channels.filter((channel) => !listed.includes(channel))).toEqual([]);
  });

  it('lists none that nothing publishes', () => {
    expect(listed.filter((channel) => !channels.includes(channel))).toEqual([]);
  });
});

describe('docs/errors.md', () => {
  it('lists every warning of the process', () => {
    const variables = new Set(found(sources, /\b(?:env|environment)\['(EXTERNALNAME_[A-Z_]+)'\]/g));
    const raised = found(sources, /'(EXTERNALNAME_[A-Z_]+)'/g).filter((code) => !variables.has(code));
    expect(found([read('docs/errors.md')], /^\| `(EXTERNALNAME_[A-Z_]+)` \|/gm)).toEqual(raised);
  });
});

describe('docs/guides/monitoring.md', () => {
  it('lists every metric, with its type, labels and meaning', () => {
    const listed = found(
      [read('docs/guides/monitoring.md')],
      /^\| `(externalname_[a-z_]+)` \| (?:counter|gauge|histogram) \|/gm,
    );
    expect(listed).toEqual(
      Object.values(metrics)
        .map(({ name }) => name)
        .sort(),
    );
  });
});
