// Who may import whom. The arrows are those of DESIGN: they go down only, and there is no circle.
// `pnpm rooms` checks them; a rule's comment is what a reader of a failure needs to know.

const test = '\\.test\\.ts$|^packages/[^/]+/test/|^test/';
const production = '^(packages|examples)/[^/]+/src/';

// package -> the packages that its production code may import
const packages = {
  core: [],
  pg: ['core'],
  kubernetes: ['core'],
  http: ['core'],
  prometheus: ['core'],
  testing: ['core'],
  engines: ['core', 'kubernetes'],
  doctor: ['core', 'kubernetes'],
  drill: ['core', 'kubernetes', 'pg', 'testing'],
  cli: ['core', 'pg', 'kubernetes', 'http', 'prometheus', 'testing', 'engines', 'doctor', 'drill'],
};

// room of core -> the rooms that it may import
const rooms = {
  addresses: [],
  objects: [],
  names: [],
  events: ['names'],
  identity: ['names', 'addresses'],
  validation: ['objects', 'names', 'addresses'],
  manifests: ['validation', 'objects', 'names', 'addresses'],
  dns: ['names', 'events'],
  targets: ['names', 'dns', 'events', 'addresses'],
  connect: ['targets', 'dns', 'identity', 'events', 'names'],
  // What a pool of connections to a Service needs, whatever speaks on them.
  pooling: ['connect', 'targets'],
};

// What a package is imported by: the files of src/ that its `exports` name, apart from those for the siblings.
const faces = [
  'index',
  'connect',
  'dns',
  'events',
  'manifests',
  'names',
  'targets',
  'validation',
  'agent',
  'drill',
  'metric-producer',
  'opentelemetry',
];
const internalFaces = ['internal', 'internal-yaml'];

// The files beside the rooms that every room may import. They import nothing but each other.
const ground = [
  'errors',
  'supported-node',
  'lazy',
  'clock',
  'backoff',
  'deadline',
  'input',
  'option-names',
  'object-number',
  'shape',
  'dependencies',
  'background',
];

// room of pg -> the rooms that it may import
const pgRooms = {
  failures: [],
  settings: [],
  driver: ['failures'],
  connect: ['driver', 'failures'],
  liveness: ['connect', 'driver', 'failures'],
  transaction: ['connect', 'driver', 'failures'],
  failover: ['liveness', 'connect', 'driver', 'failures', 'settings'],
  client: ['failover', 'liveness', 'connect', 'driver', 'failures'],
  reader: ['connect', 'settings'],
  pipeline: ['driver', 'failures'],
  pool: ['pipeline', 'reader', 'client', 'failover', 'liveness', 'transaction', 'connect', 'driver', 'failures'],
};

// The files beside the rooms of pg that every room may import. They import nothing but each other.
const pgGround = ['errors', 'events', 'failure-kind', 'recent-events', 'secrets', 'warnings'];

// Settings are made of what the rooms below want to know, and used by those that read them.
const pgOptions = {
  files: ['options', 'client-options'],
  below: ['settings', 'connect', 'liveness', 'driver'],
  above: ['failover', 'client', 'reader', 'pool'],
};

// room of testing -> the rooms that it may import
const testingRooms = {
  network: [],
  'kubernetes-api': [],
  'cluster-dns': ['kubernetes-api'],
  'local-cluster': ['cluster-dns', 'kubernetes-api', 'network'],
  postgres: ['network'],
  command: ['local-cluster', 'network'],
  writes: [],
};

// The files beside the rooms of testing that every room may import. They import nothing but each other.
const testingGround = ['certificates', 'concealed', 'faults', 'reset', 'watchdog'];

// room of kubernetes -> the rooms that it may import
const kubernetesRooms = {
  kubeconfig: [],
  api: ['kubeconfig'],
  probes: [],
  watch: ['api', 'kubeconfig'],
  switch: ['api', 'kubeconfig', 'probes'],
  // A look at a Service says what the last switch wrote into it.
  inspect: ['api', 'kubeconfig', 'switch'],
};

// The files of cli beside its commands, which import them and not the other way round: but for the table that loads the commands.
const cliGround = ['command', 'output', 'output-option', 'exit-codes', 'cluster'];

// room of engines -> the rooms that it may import
const enginesRooms = {
  engine: [],
  http: [],
  readers: ['engine', 'http'],
  confirm: ['engine'],
  follow: ['engine', 'confirm'],
  source: ['engine', 'confirm', 'follow'],
};

// room of doctor -> the rooms that it may import
const doctorRooms = {
  names: [],
  facts: ['names'],
  findings: ['facts', 'names'],
  symptoms: ['findings'],
  diagnose: ['facts', 'findings', 'names'],
  sights: ['names'],
};

// room of drill -> the rooms that it may import
const drillRooms = {
  places: [],
  rehearsal: ['places'],
  result: ['rehearsal', 'places'],
  reports: ['result'],
  drill: ['reports', 'result', 'rehearsal', 'places'],
};

const oneOf = (names) => `(${names.join('|')})`;

const packageRules = Object.entries(packages).map(([name, below]) => ({
  name: `floor-${name}`,
  comment: `packages/${name} may import ${below.join(', ') || 'no other package'}.`,
  severity: 'error',
  from: { path: `^packages/${name}/`, pathNot: test },
  to: { path: '^packages/', pathNot: `^packages/${oneOf([name, ...below])}/` },
}));

const packageTestRules = Object.entries(packages).map(([name, below]) => ({
  name: `floor-${name}-tests`,
  comment: `Tests of packages/${name} may also import testing, never a package above their own.`,
  severity: 'error',
  from: { path: `^packages/${name}/.*(\\.test\\.ts$|/test/)` },
  to: { path: '^packages/', pathNot: `^packages/${oneOf([name, 'testing', ...below])}/` },
}));

const roomRules = Object.entries(rooms).map(([name, below]) => ({
  name: `room-${name}`,
  comment: `core/${name} may import ${below.join(', ') || 'no other room'}, and ${ground.join(', ')}.`,
  severity: 'error',
  from: { path: `^packages/core/src/${name}/`, pathNot: test },
  to: {
    path: '^packages/core/src/',
    pathNot: `^packages/core/src/(${[name, ...below].join('|')})/|^packages/core/src/${oneOf(ground)}\\.ts$`,
  },
}));

const pgRoomRules = Object.entries(pgRooms).map(([name, below]) => {
  const beside = pgOptions.above.includes(name) ? [...pgGround, ...pgOptions.files] : pgGround;
  return {
    name: `pg-room-${name}`,
    comment: `pg/${name} may import ${below.join(', ') || 'no other room'}, and ${beside.join(', ')}.`,
    severity: 'error',
    from: { path: `^packages/pg/src/${name}/`, pathNot: test },
    to: {
      path: '^packages/pg/src/',
      pathNot: `^packages/pg/src/${oneOf([name, ...below])}/|^packages/pg/src/${oneOf(beside)}\\.ts$`,
    },
  };
});

const testingRoomRules = Object.entries(testingRooms).map(([name, below]) => ({
  name: `testing-room-${name}`,
  comment: `testing/${name} may import ${below.join(', ') || 'no other room'}, and ${testingGround.join(', ')}.`,
  severity: 'error',
  from: { path: `^packages/testing/src/${name}/`, pathNot: test },
  to: {
    path: '^packages/testing/src/',
    pathNot: `^packages/testing/src/${oneOf([name, ...below])}/|^packages/testing/src/${oneOf(testingGround)}\\.ts$`,
  },
}));

const kubernetesRoomRules = Object.entries(kubernetesRooms).map(([name, below]) => ({
  name: `kubernetes-room-${name}`,
  comment: `kubernetes/${name} may import ${below.join(', ') || 'no other room'}, and errors.`,
  severity: 'error',
  // A switch looks at its own result as an application does, through the source.
  from: { path: `^packages/kubernetes/src/${name}/`, pathNot: [test, '/switch/watch-propagation\\.ts$'] },
  to: {
    path: '^packages/kubernetes/src/',
    pathNot: `^packages/kubernetes/src/(${oneOf([name, ...below])}/|errors\\.ts$)`,
  },
}));

const enginesRoomRules = Object.entries(enginesRooms).map(([name, below]) => ({
  name: `engines-room-${name}`,
  comment: `engines/${name} may import ${below.join(', ') || 'no other room'}, errors and events.`,
  severity: 'error',
  from: { path: `^packages/engines/src/${name}/`, pathNot: test },
  to: {
    path: '^packages/engines/src/',
    pathNot: `^packages/engines/src/(${oneOf([name, ...below])}/|(errors|events)\\.ts$)`,
  },
}));

const doctorRoomRules = Object.entries(doctorRooms).map(([name, below]) => ({
  name: `doctor-room-${name}`,
  comment: `doctor/${name} may import ${below.join(', ') || 'no other room'}.`,
  severity: 'error',
  from: { path: `^packages/doctor/src/${name}/`, pathNot: test },
  to: { path: '^packages/doctor/src/', pathNot: `^packages/doctor/src/${oneOf([name, ...below])}/` },
}));

const drillRoomRules = Object.entries(drillRooms).map(([name, below]) => ({
  name: `drill-room-${name}`,
  comment: `drill/${name} may import ${below.join(', ') || 'no other room'}, and errors.`,
  severity: 'error',
  from: { path: `^packages/drill/src/${name}/`, pathNot: test },
  to: { path: '^packages/drill/src/', pathNot: `^packages/drill/src/(${oneOf([name, ...below])}/|errors\\.ts$)` },
}));

module.exports = {
  forbidden: [
    {
      name: 'no-circle',
      comment:
        'Modules that import each other, types included, are one module in two files. Move what they share below both.',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    ...packageRules,
    ...packageTestRules,
    ...roomRules,
    ...pgRoomRules,
    ...testingRoomRules,
    {
      name: 'testing-known-room',
      comment: 'A new room of testing, or a new file beside the rooms, needs its line in the tables of this file.',
      severity: 'error',
      from: {},
      to: {
        path: '^packages/testing/src/',
        pathNot: [
          `^packages/testing/src/${oneOf(Object.keys(testingRooms))}/`,
          `^packages/testing/src/${oneOf([...testingGround, 'index', 'bin'])}\\.ts$`,
          test,
        ],
      },
    },
    {
      name: 'testing-ground-floor',
      comment: `${testingGround.join(', ')} of testing import nothing of the package but each other.`,
      severity: 'error',
      from: { path: `^packages/testing/src/${oneOf(testingGround)}\\.ts$` },
      to: { path: '^packages/testing/src/', pathNot: `^packages/testing/src/${oneOf(testingGround)}\\.ts$` },
    },
    ...kubernetesRoomRules,
    ...enginesRoomRules,
    ...doctorRoomRules,
    ...drillRoomRules,
    {
      name: 'cli-ground-floor',
      comment: `${cliGround.join(', ')} of cli import nothing of the package but each other: commands use them.`,
      severity: 'error',
      from: { path: `^packages/cli/src/${oneOf(cliGround)}\\.ts$` },
      to: { path: '^packages/cli/src/', pathNot: `^packages/cli/src/${oneOf(cliGround)}\\.ts$` },
    },
    {
      name: 'cli-loads-testing-late',
      comment:
        '@externalname/testing and drill are optional peers of cli: import() them, from optional-packages.ts alone, where they are asked for.',
      severity: 'error',
      from: { path: '^packages/cli/src/', pathNot: [test, '^packages/cli/src/optional-packages\\.ts$'] },
      to: { path: '^packages/(testing|drill)/', dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'commander-in-one-place',
      comment: 'Only main.ts of cli knows the library that reads the command line.',
      severity: 'error',
      from: { path: '^packages/cli/', pathNot: ['^packages/cli/src/main\\.ts$', test] },
      to: { path: 'node_modules/commander' },
    },
    {
      name: 'pg-known-room',
      comment: 'A new room of pg, or a new file beside the rooms, needs its line in the tables of this file.',
      severity: 'error',
      from: {},
      to: {
        path: '^packages/pg/src/',
        pathNot: [
          `^packages/pg/src/${oneOf(Object.keys(pgRooms))}/`,
          `^packages/pg/src/${oneOf([...pgGround, ...pgOptions.files, 'pg-module', 'pg-names', 'public', 'index'])}\\.ts$`,
          test,
        ],
      },
    },
    {
      name: 'pg-ground-floor',
      comment: `${pgGround.join(', ')} of pg import nothing of the package but each other.`,
      severity: 'error',
      from: { path: `^packages/pg/src/${oneOf(pgGround)}\\.ts$` },
      to: { path: '^packages/pg/src/', pathNot: `^packages/pg/src/${oneOf(pgGround)}\\.ts$` },
    },
    {
      name: 'pg-options',
      comment: `options.ts and client-options.ts of pg may import ${pgOptions.below.join(', ')}, whose settings it makes, and ${pgGround.join(', ')}.`,
      severity: 'error',
      from: { path: `^packages/pg/src/${oneOf(pgOptions.files)}\\.ts$` },
      to: {
        path: '^packages/pg/src/',
        pathNot: [
          `^packages/pg/src/${oneOf(pgOptions.below)}/`,
          `^packages/pg/src/${oneOf([...pgGround, ...pgOptions.files])}\\.ts$`,
        ],
      },
    },
    {
      name: 'generic-pool-in-one-place',
      comment: 'Only pool/checkout-queue.ts of pg knows the library that counts its permits.',
      severity: 'error',
      from: { path: '^packages/pg/', pathNot: ['^packages/pg/src/pool/checkout-queue\\.ts$', test] },
      to: { path: 'node_modules/generic-pool' },
    },
    {
      name: 'p-retry-in-one-place',
      comment:
        'Only failures/retry.ts of pg knows the library that repeats, so that attempts are told and numbered in one way.',
      severity: 'error',
      from: { path: '^packages/pg/', pathNot: ['^packages/pg/src/failures/retry\\.ts$', test] },
      to: { path: 'node_modules/p-retry' },
    },
    {
      name: 'known-room',
      comment: 'A new room of core, or a new file beside the rooms, needs its line in the tables of this file.',
      severity: 'error',
      from: {},
      to: {
        path: '^packages/core/src/',
        pathNot: [
          `^packages/core/src/${oneOf(Object.keys(rooms))}/`,
          `^packages/core/src/${oneOf([...ground, ...faces, ...internalFaces])}\\.ts$`,
          test,
        ],
      },
    },
    {
      name: 'room-by-its-face',
      comment: 'A room is imported through its index.ts: the other files are its own business.',
      severity: 'error',
      from: { path: '^packages/core/src/([^/]+)/', pathNot: test },
      to: { path: '^packages/core/src/[^/]+/', pathNot: '^packages/core/src/$1/|^packages/core/src/[^/]+/index\\.ts$' },
    },
    {
      name: 'ground-floor',
      comment: 'errors, clock and deadline import nothing but each other.',
      severity: 'error',
      from: { path: `^packages/core/src/${oneOf(ground)}\\.ts$` },
      to: { path: '^packages/', pathNot: `^packages/core/src/${oneOf(ground)}\\.ts$` },
    },
    {
      name: 'package-by-its-face',
      comment:
        'Another package is imported by its name or a subpath of it; internal ones are for siblings. Never a file inside it.',
      severity: 'error',
      from: { path: '^(packages|examples|test)/([^/]+)/' },
      to: {
        path: '^packages/[^/]+/',
        pathNot: [
          '^$1/$2/',
          `^packages/[^/]+/src/${oneOf([...faces, ...internalFaces])}\\.ts$`,
          '^packages/[^/]+/package\\.json$',
          // `@externalname/core/internal-testing`, for tests alone: see production-imports-no-test.
          '^packages/core/test/support/index\\.ts$',
          // A real Patroni has to keep the promises that stand-ins keep.
          '^packages/engines/test/engine\\.contract\\.ts$',
          // What the real kubectl is asked is what the reader of core is asked.
          '^packages/core/test/manifest-values\\.ts$',
          // What the screens of the command show is what the rules are tested with.
          '^packages/doctor/test/healthy-facts\\.ts$',
          '^packages/drill/test/scripted-drill\\.ts$',
          // The commands of the pages are asked of the command, in the process of the test.
          '^packages/cli/test/called\\.ts$',
        ],
      },
    },
    {
      name: 'start-loads-little',
      comment:
        'YAML, validation and builders are not loaded with the pool, nor with the root of core. See decision 0018.',
      severity: 'error',
      from: {
        path: '^packages/core/src/(index|internal|dns|events|names|targets)\\.ts$|^packages/pg/src/',
        pathNot: test,
      },
      to: {
        path: '^packages/core/src/((objects|validation|manifests)/|(manifests|validation|internal-yaml)\\.ts$)',
      },
    },
    {
      name: 'examples-use-the-public-face',
      comment: 'An example shows what a user can write, and the internal subpaths are not for users.',
      severity: 'error',
      from: { path: '^examples/', pathNot: test },
      to: { path: `^packages/[^/]+/src/${oneOf(internalFaces)}\\.ts$` },
    },
    {
      name: 'production-imports-no-test',
      comment: 'What a test needs lives with the test.',
      severity: 'error',
      from: { path: production, pathNot: test },
      to: { path: test },
    },
    {
      name: 'packages-stand-alone',
      comment:
        'Packages know nothing of examples, nor of the tests that cross packages. Their fuzz targets share what runs a campaign.',
      severity: 'error',
      from: { path: '^packages/', pathNot: '^packages/[^/]+/test/fuzz/' },
      to: { path: '^(examples|test)/' },
    },
    {
      name: 'production-imports-no-dev-dependency',
      comment:
        'Users do not get devDependencies. Move the package to dependencies or peerDependencies, or the import to a test.',
      severity: 'error',
      from: { path: production, pathNot: test },
      to: {
        // Those are copied into the build: see tsup.config.ts of the package.
        pathNot: 'node_modules/(dns-packet|ipaddr\\.js|kubernetes-types|generic-pool|p-retry)/',
        dependencyTypes: ['npm-dev'],
        dependencyTypesNot: ['npm', 'npm-peer', 'npm-optional', 'npm-bundled'],
      },
    },
    {
      name: 'declared-dependencies',
      comment: 'Not in the package.json beside the importing file. Works here by luck, and not at a user.',
      severity: 'error',
      // Tests use the tools of the workspace, which the root's package.json declares.
      from: { pathNot: test },
      // An optional peer counts as both: it also stands in `peerDependenciesMeta`.
      to: { dependencyTypes: ['npm-no-pkg', 'npm-unknown'], dependencyTypesNot: ['npm-peer'] },
    },
    {
      name: 'resolvable',
      comment: 'Nothing is found under this name.',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
    {
      name: 'dns-packet-in-one-place',
      comment: 'Only dns/message.ts knows the library that reads and writes DNS messages.',
      severity: 'error',
      from: { path: '^packages/core/', pathNot: ['^packages/core/src/dns/message\\.ts$', test] },
      to: { path: 'node_modules/(@types/)?dns-packet' },
    },
    {
      name: 'ipaddr-in-one-place',
      comment: 'Only addresses/ knows the library that reads IP addresses, and whether it reads them right.',
      severity: 'error',
      from: { path: '^packages/core/', pathNot: ['^packages/core/src/addresses/', test] },
      to: { path: 'node_modules/ipaddr\\.js' },
    },
    {
      name: 'no-orphan',
      comment: 'No file imports this one, and it imports none: is it still needed?',
      severity: 'error',
      from: {
        orphan: true,
        path: '^packages/[^/]+/src/',
        pathNot: [`/src/${oneOf([...faces, ...internalFaces])}\\.ts$`, '\\.d\\.ts$', test],
      },
      to: {},
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    // The consumer lives in a folder of its own, with the packages as npm installs them. Prisma's client is made by Prisma.
    exclude: { path: '(^|/)dist/|^test/package/consumer/|^test/docs/given/|^test/compat/prisma/client/' },
    tsConfig: { fileName: 'tsconfig.json' },
    // Types make circles too.
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['@externalname/source', 'types', 'import', 'require', 'node', 'default'],
      extensions: ['.ts', '.mts', '.cts', '.js', '.mjs', '.cjs', '.json', '.d.ts'],
    },
  },
};
