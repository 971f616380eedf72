import fc from 'fast-check';

/** What readers of YAML take for something else than a text, and what they need quotes for. */
const ambiguous = [
  ...['', '~', 'null', 'Null', 'NULL', 'y', 'Y', 'yes', 'no', 'N', 'on', 'off', 'On', 'true', 'TRUE', 'tRUE', 'false'],
  ...['0', '-0', '+1', '0777', '0o17', '-0o17', '0O7', '08', '0x1F', '0b101', '0b-1', '1_000', '_1', '-_1', '1_'],
  ...['1.5', '.5', '5.', '.5_5', '1e3', '1e30_7', '0_E+_9', '1e400', '.inf', '-.Inf', '.nan', 'Infinity', 'NaN', '._'],
  ...['12:30', '1:2:3', '190:20:30.15', '2026-01-02', '2026-1-2', '2001-12-14t21:59:43.10-05:00', '10.0.0.1', '::1'],
  ...['<<', '=', '-', '- a', '--', '---', '--- a', '...', '?', '? a', ':', ': a', ':a', 'a:', 'a: b', '#a', 'a #b'],
  ...['%a', '@a', '`a`', '!', '!!str', '!a', '&a', '*a', '|', '>', '[a', 'a]', '{a', 'a}', ',', 'a,b', '"a"', "'a'"],
  ...[
    ' ',
    ' a',
    'a ',
    '\t',
    'a\t',
    '\n',
    'a\n',
    'a\n\n',
    '\na',
    'a\n b',
    ' a\nb',
    'a \nb',
    'a\n---\nb',
    'a\r\nb',
    '\r',
  ],
  ...['__proto__', 'constructor', '\\', '\\/', '"', "'"],
];

/** Every class of characters that YAML, JSON or Unicode knows: controls, separators, signs, private use, no characters. */
const classes: readonly (readonly [first: number, last: number])[] = [
  ...([
    [0x00, 0x1f],
    [0x20, 0x2f],
    [0x30, 0x39],
    [0x3a, 0x40],
    [0x41, 0x7e],
    [0x7f, 0x9f],
    [0xa0, 0xff],
  ] as const),
  ...([
    [0x300, 0x36f],
    [0x600, 0x605],
    [0x200b, 0x200f],
    [0x2028, 0x202e],
    [0x2060, 0x206f],
    [0x3000, 0x3001],
  ] as const),
  ...([
    [0xd7f0, 0xd7ff],
    [0xe000, 0xe010],
    [0xfdd0, 0xfdef],
    [0xfeff, 0xfeff],
    [0xfff0, 0xffff],
  ] as const),
  ...([
    [0x10000, 0x10010],
    [0x1f600, 0x1f610],
    [0x1fffe, 0x1ffff],
    [0xe0001, 0xe007f],
    [0x10fffe, 0x10ffff],
  ] as const),
];

const character = fc.oneof(
  ...classes.map(([min, max]) => fc.integer({ min, max }).map((codePoint) => String.fromCodePoint(codePoint))),
);

/** Texts that are hard to write. Each is whole: no halves of surrogate pairs. */
export const manifestText: fc.Arbitrary<string> = fc.oneof(
  fc.constantFrom(...ambiguous),
  fc.stringMatching(/^[-+.\d_:,eExXoObB TZ]{1,10}$/),
  fc.array(character, { maxLength: 8 }).map((characters) => characters.join('')),
  fc
    .tuple(fc.constantFrom(...ambiguous), fc.constantFrom('', ' ', '\n', ': ', ' #'), fc.constantFrom(...ambiguous))
    .map((parts) => parts.join('')),
  // A key ends within 1024 characters, and the writer breaks lines at other lengths.
  fc
    .tuple(fc.constantFrom('k', 'é', '\x85', '\u{1f600}', '"', 'a '), fc.constantFrom(41, 75, 340, 1022, 1024, 1025))
    .map(([unit, count]) => unit.repeat(count)),
);

/** What JSON is made of, with such texts as keys and values. */
export const manifestValue: fc.Arbitrary<unknown> = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    manifestText,
    fc.oneof(
      fc.boolean(),
      fc.constant(null),
      fc.maxSafeInteger(),
      // JSON has one zero.
      fc.double({ noNaN: true, noDefaultInfinity: true }).map((number) => (number === 0 ? 0 : number)),
    ),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(manifestText, tie('value'), { maxKeys: 4 }),
  ),
})).value;
