import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { namedContext } from './current-context.ts';
import { KubernetesConfigError } from './errors.ts';
import { parseKubeconfig } from './kubeconfig.ts';

const file = '/home/operator/.kube/config';

describe('any kubeconfig', () => {
  const value = fc.oneof(
    {
      weight: 4,
      arbitrary: fc.constantFrom('a', '', 'https://staging.example.com', 'https://[', 'socks5://', '%', 'YQ=='),
    },
    { weight: 1, arbitrary: fc.jsonValue({ maxDepth: 2 }) },
  );
  const fieldsOf = (...names: string[]) =>
    fc.oneof(
      { weight: 9, arbitrary: fc.record(Object.fromEntries(names.map((name) => [name, value])), { requiredKeys: [] }) },
      { weight: 1, arbitrary: value },
    );
  const listOf = (field: string, fields: fc.Arbitrary<unknown>) =>
    fc.oneof(
      {
        weight: 9,
        arbitrary: fc.array(fc.record({ name: fc.constantFrom('a', 'b'), [field]: fields }), { maxLength: 3 }),
      },
      { weight: 1, arbitrary: value },
    );
  const exec = fieldsOf('command', 'args', 'env', 'apiVersion', 'interactiveMode', 'provideClusterInfo');
  const kubeconfig = fc.record(
    {
      kind: fc.constantFrom('Config', 'Pod'),
      clusters: listOf(
        'cluster',
        fieldsOf('server', 'proxy-url', 'tls-server-name', 'certificate-authority-data', 'extensions'),
      ),
      users: listOf(
        'user',
        fc.oneof(
          fieldsOf('token', 'username', 'as', 'as-groups', 'as-user-extra', 'auth-provider'),
          fc.record({ exec }),
        ),
      ),
      contexts: listOf('context', fieldsOf('cluster', 'user', 'namespace')),
      'current-context': value,
    },
    { requiredKeys: [] },
  );

  it('is read, or refused by an error of ours', async () => {
    const run = async (text: string) => {
      try {
        const read = parseKubeconfig(text, file);
        await namedContext(read, read.currentContext, file);
      } catch (error) {
        expect(error).toBeInstanceOf(KubernetesConfigError);
      }
    };
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(
          kubeconfig.map((each) => JSON.stringify(each)),
          fc.string(),
        ),
        run,
      ),
      { numRuns: 500 },
    );
  });

  it('counts its relative paths from its folder', () => {
    const text = JSON.stringify({
      users: [{ name: 'a', user: { tokenFile: 'token', exec: { command: '../bin/login', args: [] } } }],
    });
    expect(parseKubeconfig(text, file).users.get('a')).toMatchObject({
      tokenFile: '/home/operator/.kube/token',
      exec: { command: '/home/operator/bin/login' },
    });
  });
});
