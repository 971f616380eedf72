import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { SwitchFailedError, type SwitchReport, switchTarget } from '@externalname/kubernetes';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { ApiServers } from './kubeconfig/api-servers.ts';
import { cases } from './kubeconfig/cases.ts';
import { type PlacedCase, placeCase, variables } from './kubeconfig/place-case.ts';

// The table says what kubectl does. We are held to it always, and kubectl itself where it was built (test/controlplane).
const kubectl = join(process.env['KUBEBUILDER_ASSETS'] ?? '', 'kubectl');
const isBuilt = process.env['KUBEBUILDER_ASSETS'] !== undefined && existsSync(kubectl);

let servers: ApiServers;

beforeAll(async () => {
  servers = await new ApiServers().start();
});

afterAll(() => servers[Symbol.asyncDispose]());

afterEach(() => vi.unstubAllEnvs());

describe.skipIf(!isBuilt)('the real kubectl reads a kubeconfig', () => {
  it.each(cases)('$name', async (entry) => {
    servers.forget();
    await using placed = await placeCase(entry, servers);
    const printed = await readService(placed);
    if ('refuses' in entry.kubectl) {
      expect(servers.seen, printed).toEqual([]);
      expect(printed).toContain(entry.kubectl.refuses);
    } else {
      expect(servers.seen[0], printed).toEqual(entry.kubectl);
    }
  });
});

describe('a switch reads a kubeconfig as kubectl does', () => {
  it.each(cases)('$name', async (entry) => {
    servers.forget();
    await using placed = await placeCase(entry, servers);
    const outcome = await dryRun(placed);
    const expected = entry.ours?.answer ?? entry.kubectl;
    if (!('refuses' in expected)) {
      expect(outcome).toMatchObject({ result: 'dry-run' });
      expect(servers.seen[0]).toEqual(expected);
      return;
    }
    expect(servers.seen).toEqual([]);
    const { cause } = outcome as SwitchFailedError;
    expect(cause).toMatchObject({ code: entry.code ?? 'ERR_EXTERNALNAME_KUBERNETES_CONFIG', outcome: 'not-executed' });
    if (entry.ours !== undefined) expect((cause as Error).message).toContain(expected.refuses);
  });
});

/** Reads the Service by kubectl. Resolves with all that it printed. */
function readService({ folder, environment, kubeconfig }: PlacedCase): Promise<string> {
  const others = Object.entries(process.env).filter(([name]) => !variables.includes(name));
  const env = { ...Object.fromEntries(others), KUBECACHEDIR: join(folder, 'cache'), ...environment };
  const args = ['get', 'service', 'webscaler-db', '-o', 'name', '--request-timeout=10s'];
  if (kubeconfig !== undefined) args.push(`--kubeconfig=${kubeconfig}`);
  return new Promise((resolve) => {
    const child = execFile(kubectl, args, { env, timeout: 25_000 }, (_, stdout, stderr) => resolve(stdout + stderr));
    child.stdin?.end();
  });
}

/** A switch that changes nothing, in the environment of the case. Resolves with what it failed with, too. */
async function dryRun({ environment, kubeconfig }: PlacedCase): Promise<SwitchReport | SwitchFailedError> {
  for (const name of variables) vi.stubEnv(name, environment[name]);
  try {
    return await switchTarget({
      service: 'webscaler-db',
      clusterDomain: 'cluster.local',
      to: 'secondary-db.example.com',
      allowedTargets: ['primary-db.example.com', 'secondary-db.example.com'],
      dryRun: true,
      dnsServers: false,
      ...(kubeconfig !== undefined && { kubeConfig: kubeconfig }),
    });
  } catch (error) {
    if (error instanceof SwitchFailedError) return error;
    throw error;
  }
}
