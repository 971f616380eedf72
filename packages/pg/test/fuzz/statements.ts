/**
 * Texts of one statement or several, with strings, comments and names that hide and show what commits, sent to a real
 * PostgreSQL, with `standard_conforming_strings` on and off. Finds: a text that committed something and then failed, although
 * it was read as one that cannot; and one that ended a transaction block, although it was read as one that does not.
 *
 * pnpm fuzz:statements --minutes 10
 */
import { PostgresPair } from '@externalname/testing';
import pg from 'pg';
import { type FuzzRandom, fuzz } from '../../../../test/fuzz/campaign.ts';
import { mayCommitWithin, mayEndTransaction } from '../../src/driver/statement.ts';

const mark = 'insert into marks values (1)';

const pieces = [
  ...[
    "'",
    "''",
    '"',
    '$$',
    '$a$',
    '$',
    '\\',
    '\\\\',
    "\\'",
    '--',
    '/*',
    '*/',
    ';',
    '\n',
    '\r',
    ' ',
    'E',
    'U&',
    'é',
    '\u00a0',
  ],
  ...[
    '; commit;',
    ` ${mark};`,
    ' call commits();',
    ' select 1 / 0;',
    'begin',
    'end;',
    ';commit',
    'concurrently',
    '(',
    ')',
  ],
];

await fuzz(import.meta.url, async () => {
  const pair = await PostgresPair.start();
  const { address, hostName } = pair.primary;
  const { user, password, database, port, ca } = pair;
  const client = new pg.Client({ user, password, database, port, host: address, ssl: { ca, servername: hostName } });
  await client.connect();
  await client.query(`
    create table marks (n int);
    create table numbers (n int);
    insert into numbers values (1), (1);
    create procedure commits() language plpgsql as 'begin ${mark}; commit; perform 1 / 0; end'`);
  return (random) => checkCase(client, random);
});

async function checkCase(client: pg.Client, random: FuzzRandom): Promise<void> {
  await client.query(`set standard_conforming_strings = ${random.pick(['on', 'on', 'off'])}`);
  for (let round = 0; round < 50; round += 1) {
    const text = textOf(random);
    const inTransaction = random.below(3) === 0;
    if (inTransaction) await client.query(`begin; ${mark}`);
    const failed = await client.query(text).then(
      () => false,
      () => true,
    );
    await client.query('rollback');
    const { rows } = await client.query<{ n: number }>('select count(*)::int as n from marks');
    const committed = (rows[0]?.n ?? 0) > 0;
    if (committed) await client.query('truncate marks');
    await client.query('drop index if exists twice, concurrent');
    if (!committed) continue;
    if (inTransaction && !mayEndTransaction(text)) throw new Error(`ended a transaction: ${JSON.stringify(text)}`);
    if (failed && !inTransaction && !mayCommitWithin(text)) throw new Error(`committed: ${JSON.stringify(text)}`);
  }
}

function textOf(random: FuzzRandom): string {
  const statements = Array.from({ length: 1 + random.below(4) }, () => statementOf(random));
  let text = trivia(random) + statements.join(`${trivia(random)};${trivia(random)}`) + trivia(random);
  // Most of what is cut or put in anywhere is refused as a whole. What is not is worth more than all else.
  if (random.below(3) === 0) {
    const at = random.below(text.length + 1);
    const gone = random.pick([0, 0, 0, 1, 2]);
    text = text.slice(0, at) + random.pick(pieces) + text.slice(at + gone);
  }
  return text;
}

function statementOf(random: FuzzRandom): string {
  const kinds: (() => string)[] = [
    () => mark,
    () => mark,
    () => random.pick(['commit', 'COMMIT WORK', 'end', 'commit and chain', 'rollback', 'rollback and chain', 'begin']),
    () => `call ${trivia(random)} commits()`,
    () => `do ${quoted(random, `begin ${mark}; commit; end`)}`,
    () => `do ${quoted(random, 'begin perform 1 / 0; end')}`,
    () =>
      `select ${trivia(random)} ${literal(random)} ${trivia(random)}, ${name(random)}.n from numbers as ${name(random)}`,
    () => `select ${literal(random)} ${trivia(random)} ${literal(random)}`,
    () => `select ${literal(random)} as ${name(random)}`,
    () => 'select 1 / 0',
    () => `(${mark.replace('insert', 'with a as (insert')} returning 1) select * from a)`,
    () =>
      random.pick(['vacuum marks', 'analyze', 'create unique index concurrently twice on numbers (n)', 'savepoint a']),
    () => 'rollback to savepoint a',
    () => '',
  ];
  return random.pick(kinds)();
}

/** Blanks and comments, with what would matter outside of them. */
function trivia(random: FuzzRandom): string {
  const inside = () =>
    random
      .some(pieces, 3)
      .join('')
      .replace(/[\n\r]/g, '')
      .replaceAll('*/', '')
      .replaceAll('/*', '');
  const kinds: (() => string)[] = [
    () => ' ',
    () => random.pick(['\n', '\r', '\t', '\f', '\v', '\r\n']),
    () => ` -- ${inside()}${random.pick(['\n', '\r'])}`,
    () => ` /* ${inside()} */ `,
    () => ` /* ${inside()} /* ${inside()} */ ${inside()} */ `,
  ];
  return Array.from({ length: random.below(3) }, () => random.pick(kinds)()).join('');
}

function literal(random: FuzzRandom): string {
  const inside = random.some(pieces, 4).join('');
  const standard = inside.replaceAll("'", "''");
  const kinds: (() => string)[] = [
    () => `'${standard}'`,
    () => `'${standard}' ${random.pick(['\n', '\r', ' -- more\n', '\n -- more\r'])} '${standard}'`,
    () => `E'${standard.replaceAll('\\', '\\\\')}'`,
    () => `e'${inside.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`,
    () => `E'a'\n'\\'${standard.replaceAll('\\', '')}'`,
    () => `U&'${standard.replaceAll('\\', '\\\\')}'`,
    () => `N'${standard}'`,
    () => "B'01'",
    () => "X'0f'",
    () => quoted(random, inside),
    () => '1.5e3',
    () => '$1',
  ];
  return random.pick(kinds)();
}

function quoted(random: FuzzRandom, inside: string): string {
  const tag = random.pick(['$$', '$a$', '$_1$', '$É$', '$body$']);
  return inside.includes(tag) ? `'${inside.replaceAll("'", "''")}'` : `${tag}${inside}${tag}`;
}

function name(random: FuzzRandom): string {
  const inside = random.some(pieces, 2).join('').replaceAll('"', '""');
  return random.pick(['a$$b', 'a$b$', 'é', '_1', `"a${inside}"`, `U&"a${inside.replaceAll('\\', '\\\\')}"`]);
}
