/**
 * A million DNS answers with octets changed, cut off, doubled or put in from elsewhere, through the decoder and the walk of the chain, and some
 * of them through a resolver on a real socket. Ends with code 1 where one causes anything but an answer or a refusal, takes more than
 * 100 ms, or where the memory in use grows by more than 50 MB.
 *
 * node --expose-gc --conditions=@externalname/source --import tsx packages/core/test/dns-million-mutations.ts [count] [seed]
 */
import { mutationRun } from './dns-mutations.ts';

const count = Number(process.argv[2] ?? 1_000_000);
const seed = Number(process.argv[3] ?? 1);
const begun = performance.now();
const result = await mutationRun({ count, socketEach: 200, seed });
const { read, refused, longestMillis, heapGrowthBytes, forged, rightAnswers, ignored } = result;
const seconds = (performance.now() - begun) / 1000;
console.log(`seed ${seed}: ${count.toLocaleString('en')} mutated messages in ${seconds.toFixed(1)} s`);
console.log(`  read ${read.toLocaleString('en')}, refused ${refused.toLocaleString('en')}`);
console.log(
  `  longest ${longestMillis.toFixed(2)} ms, growth of memory in use ${(heapGrowthBytes / 1e6).toFixed(1)} MB`,
);
console.log(`  over a socket with a wrong id ${forged}, right answers taken after them ${rightAnswers}`);
console.log(`  ignored there: ${JSON.stringify(ignored)}`);
if (rightAnswers !== forged || longestMillis > 100 || heapGrowthBytes > 50e6) process.exitCode = 1;
