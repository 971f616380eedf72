/**
 * DNS answers that were changed, cut off, doubled and made up, through the decoder, the walk of the chain and a resolver on a
 * real socket. Finds: an error other than MalformedMessageError, a message that takes more than 100 ms, memory that grows, a
 * forged answer that is taken, and an honest one that is not.
 *
 * pnpm fuzz:dns --minutes 10
 */

import { type FuzzRandom, fuzz } from '../../../../test/fuzz/campaign.ts';
import { mostAddresses, readAnswer } from '../../src/dns/chain.ts';
import { decodeResponse, MalformedMessageError } from '../../src/dns/message.ts';
import { mutationRun } from '../dns-mutations.ts';

await fuzz(import.meta.url, () => async (random) => {
  await checkMutations(random.below(2 ** 31));
  for (let index = 0; index < 2_000; index += 1) checkMadeUp(madeUp(random));
});

async function checkMutations(seed: number): Promise<void> {
  const { rightAnswers, forged, longestMillis, heapGrowthBytes } = await mutationRun({
    count: 20_000,
    socketEach: 400,
    seed,
  });
  if (rightAnswers !== forged) throw new Error(`${forged} forged answers were sent, ${rightAnswers} right ones taken`);
  if (longestMillis > 100) throw new Error(`a message took ${longestMillis} ms`);
  if (heapGrowthBytes > 50e6) throw new Error(`the heap grew by ${heapGrowthBytes} bytes`);
}

/** A header with counts of any size, and after it what names, types and lengths are made of, in any order. */
function madeUp(random: FuzzRandom): Buffer {
  const count = () => Buffer.from([random.pick([0, 0, 0, 1, 255]), random.pick([0, 1, 2, 16, 255])]);
  const parts: (() => Buffer)[] = [
    () => Buffer.from([0]),
    () => Buffer.from([0xc0 | random.below(64), random.below(256)]),
    () => Buffer.from([0xc0, 12]),
    () => labels(random),
    () => Buffer.from([0, random.pick([1, 2, 5, 6, 28, 41, 255]), 0, random.pick([1, 1, 1, 3])]),
    () => Buffer.from([0, 0, 0, random.below(256), 0, random.pick([0, 1, 2, 4, 16, 255])]),
    () => random.bytes(random.below(20)),
  ];
  const body = Array.from({ length: random.below(60) }, () => random.pick(parts)());
  const repeated = random.below(10) === 0 ? Array.from({ length: 500 }, () => body).flat() : body;
  const header = [random.bytes(2), Buffer.from([0x80, random.below(16)]), count(), count(), count(), count()];
  return Buffer.concat([...header, ...repeated]).subarray(0, 65_535);
}

function labels(random: FuzzRandom): Buffer {
  const names = ['a', 'webscaler-db', 'default', 'svc', 'cluster', 'local', 'evil.example', '', '\0', 'x'.repeat(63)];
  return Buffer.concat(
    random.some(names, 8).flatMap((name) => [Buffer.from([name.length]), Buffer.from(name, 'latin1')]),
  );
}

function checkMadeUp(bytes: Buffer): void {
  const begun = performance.now();
  try {
    const message = decodeResponse(bytes);
    const context = { server: '192.0.2.53:53', elapsedMillis: 1 };
    const name = message.question?.name ?? 'a';
    for (const type of ['A', 'AAAA', 'CNAME'] as const) {
      const answer = readAnswer({ name, type }, message, context);
      if (answer.kind === 'addresses' && answer.addresses.length > mostAddresses) throw new Error('too many addresses');
    }
  } catch (error) {
    if (!(error instanceof MalformedMessageError)) throw new Error(bytes.toString('hex'), { cause: error });
  }
  const took = performance.now() - begun;
  if (took > 100) throw new Error(`a message of ${bytes.length} bytes took ${took} ms: ${bytes.toString('hex')}`);
}
