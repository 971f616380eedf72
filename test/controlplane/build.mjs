// Builds kube-apiserver, etcd, CoreDNS and kubectl from their own Go modules, for the real half of test/contract.
//
//   node test/controlplane/build.mjs            builds what is missing, then prints: export KUBEBUILDER_ASSETS=<folder>
//   node test/controlplane/build.mjs --where    prints the folder only, builds nothing
//
// The binaries go to ~/.cache/externalname/controlplane/<versions>, or to $EXTERNALNAME_CACHE. Needs Go 1.26 and the
// network (the Go module proxy) the first time: about 15 minutes of two cores, 4 GB in Go's own caches.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = fileURLToPath(new URL('.', import.meta.url));
const binaries = [
  { name: 'etcd', module: 'go.etcd.io/etcd/server/v3' },
  { name: 'kube-apiserver', module: 'k8s.io/kubernetes' },
  { name: 'coredns', module: 'github.com/coredns/coredns' },
  { name: 'kubectl', module: 'k8s.io/kubectl' },
].map((binary) => ({ ...binary, version: requiredVersion(binary.name, binary.module) }));

// kubectl is of the API server's release, so that the folder's name speaks for it too.
const { 'kube-apiserver': apiServer, kubectl } = Object.fromEntries(
  binaries.map(({ name, version }) => [name, version]),
);
if (kubectl !== apiServer) fail(`kubectl/go.mod requires ${kubectl}, kube-apiserver/go.mod ${apiServer}`);

const versions = binaries
  .filter(({ name }) => name !== 'kubectl')
  .map(({ name, version }) => `${name}-${version}`)
  .join('_');
const folder = join(
  process.env.EXTERNALNAME_CACHE ?? join(homedir(), '.cache', 'externalname'),
  'controlplane',
  versions,
);

if (process.argv.includes('--where')) {
  console.log(folder);
  process.exit(binaries.every(({ name }) => existsSync(join(folder, name))) ? 0 : 1);
}

mkdirSync(folder, { recursive: true });
for (const { name, version } of binaries) {
  const binary = join(folder, name);
  if (existsSync(binary)) continue;
  console.error(`building ${name} ${version} (this takes minutes)`);
  const unfinished = `${binary}.${process.pid}`;
  const built = spawnSync(
    'go',
    ['build', '-p', '2', '-trimpath', '-ldflags', linkerFlags(name, version), '-o', unfinished, '.'],
    { cwd: join(here, name), stdio: ['ignore', 2, 2], env: { ...process.env, CGO_ENABLED: '0' } },
  );
  if (built.error !== undefined) fail(`cannot run go: ${built.error.message}. Install Go 1.26 or newer`);
  if (built.status !== 0) fail(`go build of ${name} ended with ${built.status ?? built.signal}`);
  // Under its own name only when it is whole.
  renameSync(unfinished, binary);
}
console.log(`export KUBEBUILDER_ASSETS=${folder}`);

function requiredVersion(name, module) {
  const text = readFileSync(join(here, name, 'go.mod'), 'utf8');
  const version = new RegExp(`^(?:require )?\\s*${module.replaceAll('.', '\\.')} (v\\S+)`, 'm').exec(text)?.[1];
  if (version === undefined) fail(`${name}/go.mod does not require ${module}`);
  // A staging module of Kubernetes counts v0.37.2 where the release is v1.37.2.
  return module === 'k8s.io/kubectl' ? version.replace(/^v0\./, 'v1.') : version;
}

// A module does not know its own release; upstream's build tells the server and kubectl in the same way.
function linkerFlags(name, version) {
  const flags = ['-s', '-w'];
  if (name === 'kube-apiserver' || name === 'kubectl') {
    const [major, minor] = version.slice(1).split('.');
    const facts = { gitVersion: version, gitMajor: major, gitMinor: minor, gitTreeState: 'clean' };
    for (const [fact, value] of Object.entries(facts))
      flags.push('-X', `k8s.io/component-base/version.${fact}=${value}`);
  }
  return flags.join(' ');
}

function fail(message) {
  console.error(`test/controlplane: ${message}`);
  process.exit(1);
}
