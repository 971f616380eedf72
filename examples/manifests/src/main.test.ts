import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseManifests } from '@externalname/core/manifests';
import { validate } from '@externalname/core/validation';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../../..', import.meta.url));

describe('the example of manifests', () => {
  const main = 'examples/manifests/src/main.ts';
  const { stdout, stderr, status } = spawnSync(
    process.execPath,
    ['--conditions=@externalname/source', '--import', 'tsx', main],
    {
      cwd: root,
      encoding: 'utf8',
    },
  );

  it('prints the four manifests of the scenario', () => {
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(parseManifests(stdout)).toEqual([
      {
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name: 'webscaler-db', namespace: 'default' },
        spec: { type: 'ExternalName', externalName: 'primary-db.example.com' },
      },
      {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: 'webscaler-client', namespace: 'default' },
        spec: {
          containers: [
            {
              name: 'ubuntu-container',
              image: 'ubuntu:latest',
              command: ['/bin/bash', '-c', 'while true; do sleep 3600; done'],
            },
          ],
        },
      },
      {
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name: 'webscaler-db', namespace: 'default' },
        spec: { type: 'ExternalName', externalName: 'secondary-db.example.com' },
      },
      {
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name: 'webscaler-manual', namespace: 'default' },
        spec: { type: 'ExternalName', externalName: 'httpbin.org' },
      },
    ]);
  });

  it('prints nothing that an API server would refuse', () => {
    expect(validate(stdout).filter(({ severity }) => severity === 'error')).toEqual([]);
  });
});
