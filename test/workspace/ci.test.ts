import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const root = resolve(import.meta.dirname, '../..');

describe('what CI runs', () => {
  let folder: string;

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'externalname-ci-'));
    // Only npx would run anything, and here it says what it was asked.
    program('npx', 'shift 2; echo "$*, control plane: $(printenv KUBEBUILDER_ASSETS || echo none)"');
    for (const installed of ['nft', 'promtool', 'prometheus-node-exporter']) program(installed, 'exit 0');
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it('begins with the test command of the README, and asks no control plane that was not built', () => {
    const ran = runOfCi('cache-that-is-empty');
    expect(ran[0]).toBe('test, control plane: none');
    expect(ran.at(-1)).toBe('test:contract, control plane: none');
  });

  it('asks no control plane of which a part is not built', () => {
    built('cache-of-a-build-that-broke-off', ['etcd']);
    expect(runOfCi('cache-of-a-build-that-broke-off').at(-1)).toBe('test:contract, control plane: none');
  });

  it('asks the control plane that was built', () => {
    const assets = built('cache', ['etcd', 'kube-apiserver', 'coredns', 'kubectl']);
    expect(runOfCi('cache').slice(-2)).toEqual([
      `test:contract, control plane: ${assets}`,
      `test:site test/site/real, control plane: ${assets}`,
    ]);
  });

  function program(name: string, line: string): void {
    const path = join(folder, 'bin', name);
    mkdirSync(join(folder, 'bin'), { recursive: true });
    writeFileSync(path, `#!/usr/bin/env bash\n${line}\n`);
    chmodSync(path, 0o755);
  }

  /** Plants binaries of a control plane in a cache. Returns their folder. */
  function built(cache: string, names: readonly string[]): string {
    const env = { ...process.env, EXTERNALNAME_CACHE: join(folder, cache) };
    const answer = execFileSync('sh', ['-c', 'node test/controlplane/build.mjs --where || true'], { cwd: root, env });
    const assets = answer.toString().trim();
    mkdirSync(assets, { recursive: true });
    for (const name of names) writeFileSync(join(assets, name), '');
    expect(readdirSync(assets)).toHaveLength(names.length);
    return assets;
  }

  function runOfCi(cache: string): readonly string[] {
    const path = `${join(folder, 'bin')}${delimiter}${process.env['PATH'] ?? ''}`;
    const env = { ...process.env, PATH: path, EXTERNALNAME_CACHE: join(folder, cache) };
    return execFileSync(join(root, '.ci/run'), { env }).toString().trim().split('\n');
  }
});
