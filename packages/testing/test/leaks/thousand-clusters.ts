import { readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { LocalCluster } from '@externalname/testing';

// Makes and closes clusters one after the other, and prints what is left: sockets and timers of this process, files in
// the temporary folder, and memory. Run: node --conditions=@externalname/source --import tsx <this file> [how many]

const count = Number(process.argv[2] ?? 1000);
const files = () => readdirSync(tmpdir()).filter((name) => name.startsWith('externalname-cluster-')).length;
const before = { resources: resources(), files: files() };
const start = performance.now();
let memory = 0;
for (let round = 1; round <= count; round += 1) {
  const cluster = await LocalCluster.start();
  if (round % 10 === 0) await cluster.writeKubeconfig();
  await cluster.close();
  if (round === Math.ceil(count / 2)) memory = process.memoryUsage().heapUsed;
}
const millis = performance.now() - start;
globalThis.gc?.();
const after = { resources: resources(), files: files() };
const left = after.resources.length - before.resources.length;
console.log(`${count} clusters in ${Math.round(millis)} ms, ${(millis / count).toFixed(2)} ms each`);
console.log(`left: ${left} resources (${after.resources.join(', ') || 'none'}), ${after.files - before.files} files`);
console.log(`heap: ${mebibytes(memory)} MiB half-way, ${mebibytes(process.memoryUsage().heapUsed)} MiB at the end`);
process.exitCode = left > 0 || after.files > before.files ? 1 : 0;

function resources(): string[] {
  return process.getActiveResourcesInfo().filter((name) => !/^(?:TTYWrap|PipeWrap|FSReq\w+)$/.test(name));
}

function mebibytes(bytes: number): string {
  return (bytes / 1024 ** 2).toFixed(1);
}
