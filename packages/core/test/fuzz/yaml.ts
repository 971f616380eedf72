/**
 * YAML made of what YAML is made of, in every order and many times over, through `validate` and `parseManifests`.
 * Finds: a process that ends, an error other than ManifestSyntaxError, and time that grows faster than the text.
 *
 * pnpm fuzz:yaml --minutes 10
 */

import { type FuzzRandom, fuzz } from '../../../../test/fuzz/campaign.ts';
import { isExternalNameError } from '../../src/index.ts';
import { parseManifests } from '../../src/manifests.ts';
import { validate } from '../../src/validation.ts';

const parts = [
  ...['[', ']', '{', '}', ',', ':', '-', '?', '- ', '? ', ': ', '\n', ' ', '  ', '\t', '\r', '"', "'", '#', ' # x\n'],
  ...[
    '&a ',
    '*a ',
    '*a, ',
    '&a [',
    '!t ',
    '!!binary ',
    '!!set ',
    '!<',
    '!',
    '&',
    '*',
    '|',
    '>',
    '|\n ',
    '>2-\n',
    '%',
    '@',
  ],
  ...['a', 'a: ', 'a: b\n', '- a\n', '? a\n', '---\n', '...\n', '%YAML 1.1\n', '%TAG ! x\n', '<<: ', '<<: *a\n', '~'],
  ...['0', '1_0', '0x1', '1:2', '1e9', '.', '.inf', '\\', '"\\u', '\u2028', '\ufeff', '\u{1f600}', '\ud800', '\0'],
  ...[
    '[]',
    '{}',
    '[,',
    ',]',
    '[a, b],',
    '{a: b},',
    '"a": 1,',
    'a:\n- b\n',
    'kind: List\n',
    'items:\n',
    'metadata:\n  ',
  ],
];

await fuzz(import.meta.url, () => (random) => {
  if (random.below(2) === 0) checkText(random.some(parts, 60).join(''));
  else checkGrowth(random);
});

function checkText(text: string): void {
  for (const { message, line } of validate(text, { previous: text })) {
    if (message.length > 5_000 || !(line === undefined || line >= 1))
      throw new Error(`issue without bound: ${message.slice(0, 200)}`);
  }
  try {
    parseManifests(text);
  } catch (error) {
    if (!isExternalNameError(error)) throw error;
  }
}

/** The same part of a text a few thousand times, then four times as often. */
function checkGrowth(random: FuzzRandom): void {
  const [before, unit, after] = [random.some(parts, 4), random.some(parts, 4), random.some(parts, 3)];
  if (unit.length === 0) unit.push(random.pick(parts));
  const count = Math.ceil(15_000 / unit.join('').length);
  const text = (times: number) => before.join('') + unit.join('').repeat(count * times) + after.join('');
  let ratio = Number.POSITIVE_INFINITY;
  for (let attempt = 0; attempt < 4 && ratio > 10; attempt += 1) {
    const short = Math.max(millis(text(1)), 3);
    ratio = Math.min(ratio, (millis(text(4)) - 30) / short);
  }
  if (ratio > 10)
    throw new Error(`four times the text took ${ratio.toFixed(1)} times as long: ${JSON.stringify(unit)}`);
}

function millis(text: string): number {
  const begun = performance.now();
  checkText(text);
  return performance.now() - begun;
}
