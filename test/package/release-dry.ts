// A release from the first step to the last, on this machine: `pnpm release:dry`. Every package is built and packed, everything that
// `pnpm check:packages` checks is checked, and the tarballs are published with npm to a registry that lives as long as this process. From there
// npm, pnpm and yarn install them in empty folders, the Dockerfiles are played, and the examples run. What comes with them has a licence that is allowed, and a size.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { checkPackages } from './check-packages.ts';
import { type Packed, pack } from './packed.ts';
import { type Installed, installAlone, licencesOf, refusedLicences } from './release/alone.ts';
import { compileExamples, installExamples, runExamples } from './release/examples.ts';
import { dockerfiles, playDockerfile } from './release/images.ts';
import { managers, npm, prepareFolder, publish } from './release/managers.ts';
import { type Registry, startRegistry } from './release/registry.ts';
import { sizeTable } from './release/sizes.ts';
import { fail, program, seconds, step } from './steps.ts';

async function main(): Promise<void> {
  const started = performance.now();
  const work = await mkdtemp(join(tmpdir(), 'externalname-release-'));
  try {
    const packed = await step('pack', () => pack(work));
    await checkPackages(work, packed);
    await using registry = await startRegistry();
    await step('publish to a registry on this machine', () => publishAll(work, packed, registry));
    const installed = new Map<Packed, Installed>();
    for (const each of packed) {
      const name = `${each.manifest.name} alone in an empty folder`;
      installed.set(each, await step(name, () => installAlone(work, each, registry.address)));
    }
    await step('licences', () => checkLicences([...installed.values()]));
    await step('sizes', () => checkSizes(packed, installed));
    for (const file of dockerfiles) {
      const folder = join(work, `image-${dockerfiles.indexOf(file)}`);
      await step(`what ${file} runs`, () => playDockerfile(file, folder, registry.address));
    }
    for (const manager of managers) {
      const folder = join(work, `examples-${managers.indexOf(manager)}`);
      await step(`${manager.name}: install the examples`, () => installExamples(folder, manager, registry.address));
      if (manager === npm) await step('compile the examples (node16, bundler)', () => compileExamples(folder));
      await runExamples(folder, manager, manager === npm ? 'all' : 'everywhere');
    }
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  console.log(`nothing was published, and everything can be (${seconds(started)})`);
}

async function publishAll(work: string, packed: readonly Packed[], registry: Registry): Promise<void> {
  const folder = join(work, 'publisher');
  await prepareFolder(folder, npm, registry.address);
  for (const { tarball } of packed) await publish(folder, tarball);
  const missing = packed.filter(({ manifest }) => !registry.names().includes(manifest.name));
  if (missing.length > 0) fail(`not published: ${missing.map(({ tarball }) => basename(tarball)).join(', ')}`);
}

async function checkLicences(installed: readonly Installed[]): Promise<void> {
  for (const [licence, names] of licencesOf(installed)) console.log(`     ${licence}: ${names.size} packages`);
  const refused = refusedLicences(installed);
  if (refused.length > 0) fail(`a licence that is not allowed (test/package/release/alone.ts):\n${refused.join('\n')}`);
}

async function checkSizes(packed: readonly Packed[], installed: ReadonlyMap<Packed, Installed>): Promise<void> {
  const { lines, over } = await sizeTable(packed, installed);
  for (const line of lines) console.log(`     ${line}`);
  if (over.length > 0) fail(`larger than their limits (test/package/release/sizes.ts):\n${over.join('\n')}`);
}

await program(main);
