import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

// A rule that has never refused anything may be misspelt. Here is one offence for each, in a small tree of its own.
const root = resolve(import.meta.dirname, '../..');

const offences: readonly (readonly [rule: string, file: string, source: string])[] = [
  ['floor-core', 'packages/core/src/names/a.ts', `import { x } from '@externalname/pg';`],
  ['floor-pg', 'packages/pg/src/a.ts', `import { x } from '@externalname/testing';`],
  ['floor-pg-tests', 'packages/pg/test/a.test.ts', `import { x } from '@externalname/kubernetes';`],
  ['floor-kubernetes', 'packages/kubernetes/src/a.ts', `import type { X } from '@externalname/pg';`],
  ['floor-testing', 'packages/testing/src/a.ts', `export { x } from '@externalname/pg';`],
  ['room-names', 'packages/core/src/names/b.ts', `import { x } from '../dns/index.ts';`],
  ['room-events', 'packages/core/src/events/a.ts', `import { x } from '../targets/index.ts';`],
  ['room-dns', 'packages/core/src/dns/a.ts', `import type { X } from '../targets/index.ts';`],
  ['room-identity', 'packages/core/src/identity/a.ts', `import { x } from '../events/index.ts';`],
  ['room-targets', 'packages/core/src/targets/a.ts', `import { x } from '../identity/index.ts';`],
  ['room-pooling', 'packages/core/src/pooling/a.ts', `import { x } from '../dns/index.ts';`],
  ['room-validation', 'packages/core/src/validation/a.ts', `import { x } from '../dns/index.ts';`],
  ['room-manifests', 'packages/core/src/manifests/a.ts', `import { x } from '../targets/index.ts';`],
  ['known-room', 'packages/core/src/index.ts', `export { x } from './utils/index.ts';`],
  ['room-by-its-face', 'packages/core/src/dns/b.ts', `import { x } from '../names/other-face.ts';`],
  ['ground-floor', 'packages/core/src/deadline.ts', `import { x } from './names/index.ts';`],
  ['package-by-its-face', 'packages/pg/src/b.ts', `import { x } from '../../core/src/names/index.ts';`],
  ['start-loads-little', 'packages/pg/src/l.ts', `import { x } from '@externalname/core/manifests';`],
  ['examples-use-the-public-face', 'examples/one/src/a.ts', `import { x } from '@externalname/core/internal';`],
  ['production-imports-no-test', 'packages/pg/src/c.ts', `import { x } from '../test/fixture.ts';`],
  ['packages-stand-alone', 'packages/pg/src/d.ts', `import { x } from '../../../examples/one/src/b.ts';`],
  ['production-imports-no-dev-dependency', 'packages/pg/src/e.ts', `import { x } from 'only-dev';`],
  ['declared-dependencies', 'packages/pg/src/f.ts', `import { x } from 'undeclared';`],
  ['resolvable', 'packages/pg/src/g.ts', `import { x } from 'nowhere';`],
  ['dns-packet-in-one-place', 'packages/core/src/dns/d.ts', `import { x } from 'dns-packet';`],
  ['ipaddr-in-one-place', 'packages/core/src/targets/c.ts', `import { x } from 'ipaddr.js';`],
  ['pg-room-failures', 'packages/pg/src/failures/a.ts', `import { x } from '../driver/a.ts';`],
  ['pg-room-settings', 'packages/pg/src/settings/a.ts', `import { x } from '../driver/a.ts';`],
  ['pg-room-driver', 'packages/pg/src/driver/b.ts', `import type { X } from '../connect/a.ts';`],
  ['pg-room-connect', 'packages/pg/src/connect/b.ts', `import { x } from '../options.ts';`],
  ['pg-room-liveness', 'packages/pg/src/liveness/b.ts', `import { x } from '../failover/a.ts';`],
  ['pg-room-reader', 'packages/pg/src/reader/a.ts', `import { x } from '../pool/a.ts';`],
  ['pg-room-transaction', 'packages/pg/src/transaction/b.ts', `import { x } from '../pool/a.ts';`],
  ['pg-room-failover', 'packages/pg/src/failover/b.ts', `import { x } from '../client/a.ts';`],
  ['pg-room-client', 'packages/pg/src/client/b.ts', `import { x } from '../pool/a.ts';`],
  ['pg-room-pool', 'packages/pg/src/pool/b.ts', `import { x } from '../index.ts';`],
  ['pg-room-pipeline', 'packages/pg/src/pipeline/a.ts', `import { x } from '../pool/a.ts';`],
  ['pg-known-room', 'packages/pg/src/pool/c.ts', `import { x } from '../helpers.ts';`],
  ['pg-ground-floor', 'packages/pg/src/errors.ts', `import { x } from './driver/a.ts';`],
  ['pg-options', 'packages/pg/src/options.ts', `import { x } from './pool/a.ts';`],
  ['testing-room-network', 'packages/testing/src/network/a.ts', `import { x } from '../postgres/room.ts';`],
  [
    'testing-room-kubernetes-api',
    'packages/testing/src/kubernetes-api/a.ts',
    `import { x } from '../cluster-dns/room.ts';`,
  ],
  [
    'testing-room-cluster-dns',
    'packages/testing/src/cluster-dns/b.ts',
    `import type { X } from '../local-cluster/room.ts';`,
  ],
  ['testing-room-local-cluster', 'packages/testing/src/local-cluster/b.ts', `import { x } from '../postgres/room.ts';`],
  ['testing-room-postgres', 'packages/testing/src/postgres/b.ts', `import { x } from '../local-cluster/room.ts';`],
  ['testing-room-command', 'packages/testing/src/command/a.ts', `import { x } from '../postgres/room.ts';`],
  ['testing-room-writes', 'packages/testing/src/writes/a.ts', `import { x } from '../postgres/room.ts';`],
  ['testing-known-room', 'packages/testing/src/postgres/c.ts', `import { x } from '../helpers.ts';`],
  ['testing-ground-floor', 'packages/testing/src/faults.ts', `import { x } from './network/room.ts';`],
  ['kubernetes-room-kubeconfig', 'packages/kubernetes/src/kubeconfig/a.ts', `import { x } from '../api/a.ts';`],
  ['kubernetes-room-api', 'packages/kubernetes/src/api/b.ts', `import { x } from '../watch/a.ts';`],
  ['kubernetes-room-probes', 'packages/kubernetes/src/probes/a.ts', `import { x } from '../api/a.ts';`],
  ['kubernetes-room-watch', 'packages/kubernetes/src/watch/b.ts', `import { x } from '../probes/b.ts';`],
  ['kubernetes-room-switch', 'packages/kubernetes/src/switch/a.ts', `import { x } from '../watch/a.ts';`],
  ['kubernetes-room-inspect', 'packages/kubernetes/src/inspect/a.ts', `import { x } from '../watch/a.ts';`],
  ['cli-ground-floor', 'packages/cli/src/output.ts', `import { x } from './commands/a.ts';`],
  ['cli-loads-testing-late', 'packages/cli/src/commands/b.ts', `import { x } from '@externalname/testing';`],
  ['commander-in-one-place', 'packages/cli/src/commands/c.ts', `import { x } from 'commander';`],
  ['floor-engines', 'packages/engines/src/a.ts', `import { x } from '@externalname/pg';`],
  ['engines-room-engine', 'packages/engines/src/engine/a.ts', `import { x } from '../readers/room.ts';`],
  ['engines-room-http', 'packages/engines/src/http/a.ts', `import { x } from '../engine/room.ts';`],
  ['engines-room-readers', 'packages/engines/src/readers/a.ts', `import { x } from '../follow/room.ts';`],
  ['engines-room-confirm', 'packages/engines/src/confirm/a.ts', `import { x } from '../readers/room.ts';`],
  ['engines-room-follow', 'packages/engines/src/follow/a.ts', `import { x } from '../readers/room.ts';`],
  ['engines-room-source', 'packages/engines/src/source/a.ts', `import { x } from '../http/room.ts';`],
  ['floor-doctor', 'packages/doctor/src/a.ts', `import { x } from '@externalname/pg';`],
  ['doctor-room-names', 'packages/doctor/src/names/a.ts', `import { x } from '../facts/room.ts';`],
  ['doctor-room-facts', 'packages/doctor/src/facts/a.ts', `import { x } from '../findings/room.ts';`],
  ['doctor-room-findings', 'packages/doctor/src/findings/a.ts', `import { x } from '../diagnose/room.ts';`],
  ['doctor-room-symptoms', 'packages/doctor/src/symptoms/a.ts', `import { x } from '../facts/room.ts';`],
  ['doctor-room-diagnose', 'packages/doctor/src/diagnose/a.ts', `import { x } from '../sights/room.ts';`],
  ['doctor-room-sights', 'packages/doctor/src/sights/a.ts', `import { x } from '../findings/room.ts';`],
  ['floor-drill', 'packages/drill/src/a.ts', `import { x } from '@externalname/cli';`],
  ['drill-room-places', 'packages/drill/src/places/a.ts', `import { x } from '../rehearsal/room.ts';`],
  ['drill-room-rehearsal', 'packages/drill/src/rehearsal/a.ts', `import { x } from '../result/room.ts';`],
  ['drill-room-result', 'packages/drill/src/result/a.ts', `import { x } from '../reports/room.ts';`],
  ['drill-room-reports', 'packages/drill/src/reports/a.ts', `import { x } from '../rehearsal/room.ts';`],
  ['drill-room-drill', 'packages/drill/src/drill/a.ts', `import { x } from '../other/room.ts';`],
  ['generic-pool-in-one-place', 'packages/pg/src/pool/d.ts', `import { x } from 'generic-pool';`],
  ['p-retry-in-one-place', 'packages/pg/src/transaction/c.ts', `import { x } from 'p-retry';`],
  ['no-circle', 'packages/pg/src/circle.ts', `import type { Y } from './circle-back.ts'; export interface X { y: Y }`],
  ['no-orphan', 'packages/pg/src/orphan.ts', 'export const x = 1;'],
];

const allowed: readonly (readonly [what: string, file: string, source: string])[] = [
  ['a sibling on the floor below', 'packages/pg/src/h.ts', `import { x } from '@externalname/core';`],
  ['a subpath of it', 'examples/one/src/c.ts', `import { x } from '@externalname/core/dns';`],
  ['what siblings share', 'packages/pg/src/i.ts', `import { x } from '@externalname/core/internal';`],
  ['testing in a test', 'packages/pg/test/b.test.ts', `import { x } from '@externalname/testing';`],
  ['a dev dependency in a test', 'packages/pg/src/j.test.ts', `import { x } from 'only-dev';`],
  ['the room below', 'packages/core/src/targets/b.ts', `import { x } from '../dns/index.ts';`],
  ['errors and deadlines', 'packages/core/src/dns/f.ts', `import '../errors.ts'; import '../deadline.ts';`],
  ['dns-packet in the one place', 'packages/core/src/dns/message.ts', `import { x } from 'dns-packet';`],
  ['a peer dependency', 'packages/pg/src/k.ts', `import { x } from 'peer';`],
  ['the rooms below, in pg', 'packages/pg/src/pool/e.ts', `import '../client/a.ts'; import '../options.ts';`],
  [
    'the rooms below, in testing',
    'packages/testing/src/local-cluster/c.ts',
    `import '../network/room.ts'; import '../certificates.ts';`,
  ],
  ['errors in every room of pg', 'packages/pg/src/failures/b.ts', `import '../errors.ts';`],
];

describe('the import rules', () => {
  let tree: string;
  let violations: readonly Violation[];

  beforeAll(async () => {
    tree = await mkdtemp(join(tmpdir(), 'externalname-rooms-'));
    await plant(tree);
    violations = await cruise(tree);
  }, 60_000);

  afterAll(() => rm(tree, { recursive: true, force: true }));

  it.each(offences)('%s refuses an offence', (rule, file) => {
    expect(rulesBrokenBy(file)).toContain(rule);
  });

  it.each(allowed)('allow %s', (_what, file) => {
    expect(rulesBrokenBy(file)).toEqual([]);
  });

  it('name no rule twice, so that each can be looked up', () => {
    const names = rules().map((rule) => rule.name);
    expect(new Set(names).size).toBe(names.length);
  });

  it('have an offence here for each kind of rule', () => {
    const shown = new Set(offences.map(([rule]) => rule));
    const unproven = rules()
      .map((rule) => rule.name)
      .filter((name) => !shown.has(name) && !/^(floor|room)-/.test(name));
    expect(unproven).toEqual([]);
  });

  function rulesBrokenBy(file: string): readonly string[] {
    return violations
      .filter(({ from, cycle }) => from === file || cycle?.some((step) => step.name === file))
      .map((violation) => violation.rule.name);
  }
});

interface Violation {
  readonly from: string;
  /** A circle is reported once, from one of its files. */
  readonly cycle?: readonly { readonly name: string }[];
  readonly rule: { readonly name: string };
}

function rules(): readonly { readonly name: string }[] {
  const config: { forbidden: readonly { name: string }[] } = createRequire(import.meta.url)(
    '../../.dependency-cruiser.cjs',
  );
  return config.forbidden;
}

async function plant(tree: string): Promise<void> {
  const face = 'export const x = 1; export interface X { x: 1 }';
  for (const room of ['objects', 'names', 'events', 'identity', 'validation', 'manifests', 'dns', 'targets', 'utils']) {
    await write(`packages/core/src/${room}/index.ts`, face);
  }
  const lowerRooms = ['failures', 'settings', 'driver', 'connect', 'liveness'];
  for (const room of [...lowerRooms, 'transaction', 'failover', 'client', 'pool']) {
    await write(`packages/pg/src/${room}/a.ts`, face);
  }
  for (const room of ['network', 'kubernetes-api', 'cluster-dns', 'local-cluster', 'postgres', 'command']) {
    await write(`packages/testing/src/${room}/room.ts`, face);
  }
  await write('packages/cli/src/commands/a.ts', face);
  for (const room of ['engine', 'http', 'readers', 'follow']) await write(`packages/engines/src/${room}/room.ts`, face);
  for (const room of ['facts', 'findings', 'diagnose', 'sights'])
    await write(`packages/doctor/src/${room}/room.ts`, face);
  for (const room of ['rehearsal', 'result', 'reports', 'other'])
    await write(`packages/drill/src/${room}/room.ts`, face);
  for (const name of ['pg', 'testing']) await write(`packages/${name}/src/helpers.ts`, face);
  await write('packages/testing/src/certificates.ts', face);
  for (const file of ['api/a', 'watch/a', 'probes/b']) await write(`packages/kubernetes/src/${file}.ts`, face);
  for (const file of ['errors', 'clock', 'dns', 'manifests', 'internal', 'names/other-face']) {
    await write(`packages/core/src/${file}.ts`, face);
  }
  for (const name of ['core', 'pg', 'kubernetes', 'testing', 'cli', 'engines', 'doctor', 'drill']) {
    if (name !== 'core') await write(`packages/${name}/src/index.ts`, face);
    await write(
      `packages/${name}/package.json`,
      JSON.stringify({
        name: `@externalname/${name}`,
        exports: {
          '.': { '@externalname/source': './src/index.ts' },
          './dns': { '@externalname/source': './src/dns.ts' },
          './manifests': { '@externalname/source': './src/manifests.ts' },
          './internal': { '@externalname/source': './src/internal.ts' },
        },
        dependencies: {
          'dns-packet': '*',
          'ipaddr.js': '*',
          'generic-pool': '*',
          'p-retry': '*',
          commander: '*',
          '@externalname/core': '*',
          '@externalname/pg': '*',
        },
        peerDependencies: { peer: '*' },
        devDependencies: { 'only-dev': '*', peer: '*', '@externalname/testing': '*', '@externalname/kubernetes': '*' },
      }),
    );
    await mkdir(join(tree, 'node_modules/@externalname'), { recursive: true });
    await symlink(join(tree, 'packages', name), join(tree, 'node_modules/@externalname', name));
  }
  for (const name of [
    'dns-packet',
    'ipaddr.js',
    'generic-pool',
    'p-retry',
    'commander',
    'only-dev',
    'undeclared',
    'peer',
  ]) {
    await write(`node_modules/${name}/package.json`, JSON.stringify({ name, main: 'index.js' }));
    await write(`node_modules/${name}/index.js`, 'exports.x = 1;');
  }
  await write('packages/pg/test/fixture.ts', face);
  await write('examples/one/src/b.ts', face);
  await write('examples/one/package.json', JSON.stringify({ dependencies: { '@externalname/core': '*' } }));
  await write('packages/pg/src/circle-back.ts', `import type { X } from './circle.ts'; export interface Y { x: X }`);
  await write('package.json', JSON.stringify({ type: 'module' }));
  await cp(join(root, 'tsconfig.json'), join(tree, 'tsconfig.json'));
  for (const [, file, source] of [...offences, ...allowed]) await write(file, source);

  async function write(file: string, text: string): Promise<void> {
    await mkdir(dirname(join(tree, file)), { recursive: true });
    await writeFile(join(tree, file), text);
  }
}

async function cruise(tree: string): Promise<readonly Violation[]> {
  const program = join(root, 'node_modules/dependency-cruiser/bin/dependency-cruise.mjs');
  const config = join(root, '.dependency-cruiser.cjs');
  const output = await new Promise<string>((done, failed) => {
    execFile(
      process.execPath,
      [program, '--config', config, '--output-type', 'json', 'packages', 'examples'],
      { cwd: tree, maxBuffer: 2 ** 26 },
      // Exits with an error exactly because rules are broken; anything else prints no JSON.
      (error, stdout) => (stdout.startsWith('{') ? done(stdout) : failed(error ?? new Error(stdout))),
    );
  });
  const report: { summary: { violations: readonly Violation[] } } = JSON.parse(output);
  return report.summary.violations;
}
