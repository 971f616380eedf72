import { relative } from 'node:path';
import type { Places, SeenRequest } from './api-servers.ts';

/** Files, environment and flag that kubectl and we are given alike. */
export interface GivenKubeconfig {
  /** Path in the folder of the case -> its text, or an object that is written as JSON. */
  readonly files?: Readonly<Record<string, string | object>>;
  readonly environment?: Readonly<Record<string, string>>;
  /** `kubectl --kubeconfig`, and the option `kubeConfig` of ours. */
  readonly kubeconfig?: string;
}

export interface KubeconfigCase {
  readonly name: string;
  given(places: Places): GivenKubeconfig;
  /**
   * What kubectl 1.37.2 did: the request that the API server saw, or a part of the message that it ended with. It is asked
   * again where it was built.
   */
  readonly kubectl: SeenRequest | { readonly refuses: string };
  /** Code of our error if we refuse. @defaultValue `ERR_EXTERNALNAME_KUBERNETES_CONFIG` */
  readonly code?: string;
  /** Where we differ: what we do, and why. */
  readonly ours?: { readonly answer: SeenRequest | { readonly refuses: string }; readonly because: string };
}

const path = '/api/v1/namespaces/default/services/webscaler-db';
const asToken = (token: string) => ({ authorization: `Bearer ${token}` });
/** A request by the token of the given server's own user. */
const seen = (server: string, more: Partial<SeenRequest> = {}): SeenRequest => ({
  server,
  path,
  ...asToken(`${server}-token`),
  ...more,
});
const base64 = (text: string) => Buffer.from(text).toString('base64');

type Entry = Readonly<Record<string, unknown>>;

/** A kubeconfig with one cluster, one user and one context, all of them called `name`. */
function config(
  name: string,
  places: Places,
  changes: { cluster?: Entry; user?: Entry; context?: Entry; current?: string | undefined; top?: Entry } = {},
): object {
  const server = name === 'production' ? places.production : places.staging;
  const cluster = { server, 'certificate-authority-data': base64(places.ca), ...changes.cluster };
  return {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name, cluster }],
    users: [{ name, user: changes.user ?? { token: `${name}-token` } }],
    contexts: [{ name, context: { cluster: name, user: name, ...changes.context } }],
    'current-context': 'current' in changes ? changes.current : name,
    ...changes.top,
  };
}

/** One file, named by `KUBECONFIG`. */
function oneFile(content: (places: Places) => string | object, more: (places: Places) => GivenKubeconfig = () => ({})) {
  return (places: Places): GivenKubeconfig => {
    const { files, environment } = more(places);
    return {
      files: { config: content(places), ...files },
      environment: { KUBECONFIG: `${places.folder}/config`, ...environment },
    };
  };
}

/** Two files, `KUBECONFIG=first:second`. */
function twoFiles(first: (places: Places) => string | object, second: (places: Places) => string | object) {
  return (places: Places): GivenKubeconfig => ({
    files: { first: first(places), second: second(places) },
    environment: { KUBECONFIG: `${places.folder}/first:${places.folder}/second` },
  });
}

const staging = (places: Places) => config('staging', places);
const production = (places: Places) => config('production', places);
const withCluster = (cluster: (places: Places) => Entry, user?: Entry) =>
  oneFile((places) => config('staging', places, { cluster: cluster(places), ...(user && { user }) }));
const withUser = (user: (places: Places) => Entry, files: (places: Places) => Record<string, string> = () => ({})) =>
  oneFile(
    (places) => config('staging', places, { user: user(places) }),
    (places) => ({ files: files(places) }),
  );

/** A server whose address is not of loopback for Go, and leads there all the same. */
const elsewhere = (places: Places) => places.staging.replace('127.0.0.1', '0.0.0.0');
/** No resolver asks for a label of 64 characters: a client that does not go through a proxy ends at once. */
const unresolvable = `${'a'.repeat(64)}.example.com`;
const byName = (places: Places) => places.staging.replace('127.0.0.1', unresolvable);
const throughProxy = (environment: (places: Places) => Record<string, string>, server = elsewhere) =>
  oneFile(
    (places) =>
      config('staging', places, { cluster: { server: server(places), 'tls-server-name': 'staging.example.com' } }),
    (places) => ({ environment: environment(places) }),
  );
const named = { serverName: 'staging.example.com' };
const proxied = seen('staging', { ...named, via: 'http proxy' });

const localhost = 'http://localhost:8080';
const noFallback = `kubectl falls back to ${localhost}; a Service that is found there by accident must not be changed`;

const plugin = (credential: Entry) =>
  `#!/bin/sh\ncat <<'EOF'\n${JSON.stringify({ kind: 'ExecCredential', ...credential })}\nEOF\n`;
const execV1 = { apiVersion: 'client.authentication.k8s.io/v1', interactiveMode: 'Never' };

export const cases: readonly KubeconfigCase[] = [
  // Which files, and how they are merged.
  {
    name: 'two files with a current-context each: the first wins',
    given: twoFiles(staging, production),
    kubectl: seen('staging'),
  },
  {
    name: 'the same two files the other way round',
    given: twoFiles(production, staging),
    kubectl: seen('production'),
  },
  {
    name: 'a first file without current-context: that of the second',
    given: twoFiles((places) => config('staging', places, { current: undefined }), production),
    kubectl: seen('production'),
  },
  {
    name: 'a first file whose current-context is empty: that of the second',
    given: twoFiles((places) => config('staging', places, { current: '' }), production),
    kubectl: seen('production'),
  },
  {
    name: 'a current-context that another file defines',
    given: twoFiles(
      (places) => config('staging', places, { current: 'production' }),
      (places) => config('production', places, { current: undefined }),
    ),
    kubectl: seen('production'),
  },
  {
    name: 'a cluster of the same name in two files: the first wins as a whole',
    given: twoFiles(staging, (places) =>
      config('staging', places, {
        cluster: { server: places.production, 'tls-server-name': 'production.example.com' },
      }),
    ),
    kubectl: seen('staging'),
  },
  {
    name: 'a user of the same name in two files: the first wins',
    given: twoFiles(staging, (places) => config('staging', places, { user: { token: 'second-token' } })),
    kubectl: seen('staging'),
  },
  {
    name: 'a user of the same name whose first entry has no credentials: it wins all the same',
    given: twoFiles((places) => config('staging', places, { user: {} }), staging),
    kubectl: { refuses: 'Please enter Username' },
  },
  {
    name: 'a context of the same name in two files: the first wins',
    given: twoFiles(staging, (places) => ({
      ...config('production', places, { current: 'staging' }),
      contexts: [{ name: 'staging', context: { cluster: 'production', user: 'production' } }],
    })),
    kubectl: seen('staging'),
  },
  {
    name: 'a listed file that is missing',
    given: (places) => ({
      files: { second: staging(places) },
      environment: { KUBECONFIG: `${places.folder}/missing:${places.folder}/second` },
    }),
    kubectl: seen('staging'),
  },
  { name: 'a listed file that is empty', given: twoFiles(() => '', staging), kubectl: seen('staging') },
  {
    name: 'a listed file that is empty but for a comment',
    given: twoFiles(() => '# nothing yet\n', staging),
    kubectl: seen('staging'),
  },
  {
    name: 'a listed file with empty lists only',
    given: twoFiles(() => 'apiVersion: v1\nkind: Config\nclusters: null\nusers: []\ncontexts: null\n', staging),
    kubectl: seen('staging'),
  },
  {
    name: 'an empty entry of KUBECONFIG',
    given: (places) => ({
      files: { config: staging(places) },
      environment: { KUBECONFIG: `:${places.folder}/config:` },
    }),
    kubectl: seen('staging'),
  },
  {
    name: 'one file listed twice',
    given: (places) => ({
      files: { config: staging(places) },
      environment: { KUBECONFIG: `${places.folder}/config:${places.folder}/config` },
    }),
    kubectl: seen('staging'),
  },
  {
    name: 'a path from the working directory',
    given: (places) => ({
      files: {
        'pki/config': config('staging', places, {
          cluster: { 'certificate-authority-data': undefined, 'certificate-authority': 'ca.crt' },
        }),
        'pki/ca.crt': places.ca,
      },
      environment: { KUBECONFIG: relative(process.cwd(), `${places.folder}/pki/config`) },
    }),
    kubectl: seen('staging'),
  },
  {
    name: 'no listed file exists',
    given: (places) => ({ environment: { KUBECONFIG: `${places.folder}/missing` } }),
    kubectl: { refuses: 'localhost:8080 was refused' },
    ours: { answer: { refuses: 'no configuration' }, because: noFallback },
  },
  {
    name: 'KUBECONFIG without any file: ~/.kube/config is not read either',
    given: (places) => ({ files: { 'home/.kube/config': staging(places) }, environment: { KUBECONFIG: ':' } }),
    kubectl: { refuses: 'localhost:8080 was refused' },
    ours: { answer: { refuses: 'no configuration' }, because: noFallback },
  },
  {
    name: 'a listed file that is a folder',
    given: (places) => ({
      files: { config: staging(places), 'folder/file': '' },
      environment: { KUBECONFIG: `${places.folder}/config:${places.folder}/folder` },
    }),
    kubectl: { refuses: 'is a directory' },
  },
  {
    name: 'a second file that is not YAML',
    given: twoFiles(staging, () => 'clusters: [\n'),
    kubectl: { refuses: 'error loading config file' },
  },
  {
    name: 'a second file of another kind',
    given: twoFiles(staging, () => 'apiVersion: v1\nkind: Pod\n'),
    kubectl: { refuses: 'no kind "Pod" is registered' },
  },
  {
    name: 'a file without apiVersion and kind',
    given: oneFile((places) => config('staging', places, { top: { apiVersion: undefined, kind: undefined } })),
    kubectl: seen('staging'),
  },
  {
    name: 'one name twice in one file',
    given: oneFile((places) => ({
      ...config('staging', places),
      clusters: [
        { name: 'staging', cluster: { server: places.staging } },
        { name: 'staging', cluster: { server: places.production } },
      ],
    })),
    kubectl: { refuses: 'duplicate name "staging"' },
  },
  {
    name: 'fields that are not known',
    given: oneFile((places) => config('staging', places, { top: { color: 'red' }, cluster: { nickname: 'test' } })),
    kubectl: seen('staging'),
  },
  {
    name: 'an entry of another context that is not complete',
    given: twoFiles(staging, () => ({
      clusters: [{ name: 'half' }],
      contexts: [{ name: 'half' }],
      users: [{ name: 'half' }],
    })),
    kubectl: seen('staging'),
  },
  {
    name: 'no KUBECONFIG: ~/.kube/config',
    given: (places) => ({ files: { 'home/.kube/config': staging(places) } }),
    kubectl: seen('staging'),
  },
  {
    name: 'an empty KUBECONFIG: ~/.kube/config',
    given: (places) => ({ files: { 'home/.kube/config': staging(places) }, environment: { KUBECONFIG: '' } }),
    kubectl: seen('staging'),
  },
  {
    name: 'KUBECONFIG names a file: ~/.kube/config is not merged',
    given: (places) => ({
      files: { 'home/.kube/config': production(places), config: config('staging', places, { current: 'production' }) },
      environment: { KUBECONFIG: `${places.folder}/config` },
    }),
    kubectl: { refuses: 'context was not found for specified context: production' },
  },
  {
    name: 'a file that is named: KUBECONFIG does not count',
    given: (places) => ({
      files: { named: staging(places), config: production(places) },
      environment: { KUBECONFIG: `${places.folder}/config` },
      kubeconfig: `${places.folder}/named`,
    }),
    kubectl: seen('staging'),
  },
  {
    name: 'a file that is named and missing',
    given: (places) => ({
      files: { config: production(places) },
      environment: { KUBECONFIG: `${places.folder}/config` },
      kubeconfig: `${places.folder}/missing`,
    }),
    kubectl: { refuses: 'no such file or directory' },
  },

  // The context.
  {
    name: 'no current-context',
    given: oneFile((places) => config('staging', places, { current: undefined })),
    kubectl: { refuses: 'localhost:8080 was refused' },
    ours: { answer: { refuses: 'current-context' }, because: noFallback },
  },
  {
    name: 'a current-context that does not exist',
    given: oneFile((places) => config('staging', places, { current: 'gone' })),
    kubectl: { refuses: 'context was not found for specified context: gone' },
  },
  {
    name: 'a context whose cluster does not exist',
    given: oneFile((places) => config('staging', places, { context: { cluster: 'gone' } })),
    kubectl: { refuses: 'localhost:8080 was refused' },
    ours: { answer: { refuses: 'cluster' }, because: noFallback },
  },
  {
    name: 'a cluster without a server',
    given: withCluster(() => ({ server: undefined })),
    kubectl: { refuses: 'localhost:8080 was refused' },
    ours: { answer: { refuses: 'server' }, because: noFallback },
  },
  {
    name: 'a context whose user does not exist',
    given: oneFile((places) => config('staging', places, { context: { user: 'gone' } })),
    kubectl: { refuses: 'Please enter Username' },
  },
  {
    name: 'a context without a user',
    given: oneFile((places) => config('staging', places, { context: { user: undefined } })),
    kubectl: { refuses: 'Please enter Username' },
  },
  {
    name: 'the namespace of the context',
    given: oneFile((places) => config('staging', places, { context: { namespace: 'payments' } })),
    kubectl: seen('staging', { path: '/api/v1/namespaces/payments/services/webscaler-db' }),
  },

  // The server.
  {
    name: 'a server with a path',
    given: withCluster(({ staging: server }) => ({ server: `${server}/k8s/clusters/c-1` })),
    kubectl: seen('staging', { path: `/k8s/clusters/c-1${path}` }),
  },
  {
    name: 'a server with a slash at its end',
    given: withCluster(({ staging: server }) => ({ server: `${server}/` })),
    kubectl: seen('staging'),
  },
  {
    name: 'a server without a scheme: http, and so without credentials',
    given: withCluster(({ plain }) => ({ server: plain.slice('http://'.length) })),
    kubectl: { server: 'plain', path },
  },
  {
    name: 'a server without TLS: no credentials',
    given: withCluster(({ plain }) => ({ server: plain })),
    kubectl: { server: 'plain', path },
  },
  {
    name: 'a server without TLS, and a user without credentials',
    given: withCluster(({ plain }) => ({ server: plain }), {}),
    kubectl: { server: 'plain', path },
  },
  {
    name: 'a server without TLS, on behalf of somebody else',
    given: withCluster(({ plain }) => ({ server: plain }), { token: 'staging-token', as: 'deployer' }),
    kubectl: { server: 'plain', path, impersonate: { user: 'deployer' } },
  },
  {
    name: 'tls-server-name',
    given: withCluster(({ named: server }) => ({ server, 'tls-server-name': 'api.example.com' })),
    kubectl: { server: 'named', path, ...asToken('staging-token'), serverName: 'api.example.com' },
  },
  {
    name: 'a certificate for another name',
    given: withCluster(({ named: server }) => ({ server })),
    kubectl: { refuses: 'x509' },
    code: 'ERR_EXTERNALNAME_KUBERNETES_UNAVAILABLE',
  },
  {
    name: 'a certificate of an authority that is not trusted',
    given: withCluster(({ otherCa }) => ({ 'certificate-authority-data': base64(otherCa) })),
    kubectl: { refuses: 'x509' },
    code: 'ERR_EXTERNALNAME_KUBERNETES_UNAVAILABLE',
  },
  {
    name: 'insecure-skip-tls-verify',
    given: withCluster(() => ({ 'certificate-authority-data': undefined, 'insecure-skip-tls-verify': true })),
    kubectl: seen('staging'),
  },
  {
    name: 'insecure-skip-tls-verify beside an authority',
    given: withCluster(() => ({ 'insecure-skip-tls-verify': true })),
    kubectl: { refuses: 'specifying a root certificates file with the insecure flag is not allowed' },
  },
  {
    name: 'certificate-authority, from the folder of the file that names it',
    given: (places) => ({
      files: {
        'first/config': config('production', places, { current: undefined }),
        'second/config': config('staging', places, {
          cluster: { 'certificate-authority-data': undefined, 'certificate-authority': 'pki/ca.crt' },
        }),
        'second/pki/ca.crt': places.ca,
      },
      environment: { KUBECONFIG: `${places.folder}/first/config:${places.folder}/second/config` },
    }),
    kubectl: seen('staging'),
  },
  {
    name: 'certificate-authority that is missing',
    given: withCluster(() => ({ 'certificate-authority-data': undefined, 'certificate-authority': 'ca.crt' })),
    kubectl: { refuses: 'unable to read certificate-authority' },
  },
  {
    name: 'certificate-authority and certificate-authority-data',
    given: oneFile(
      (places) => config('staging', places, { cluster: { 'certificate-authority': 'ca.crt' } }),
      ({ ca }) => ({ files: { 'ca.crt': ca } }),
    ),
    kubectl: { refuses: 'are both specified' },
  },
  {
    name: 'certificate-authority-data that is not base64',
    given: withCluster(() => ({ 'certificate-authority-data': 'not base64!' })),
    kubectl: { refuses: 'illegal base64 data' },
  },
  {
    name: 'certificate-authority-data that is not a certificate',
    given: withCluster(() => ({ 'certificate-authority-data': base64('nothing') })),
    kubectl: { refuses: 'unable to load root certificates' },
  },

  // The user.
  {
    name: 'tokenFile, from the folder of the file that names it',
    given: (places) => ({
      files: {
        'first/config': config('production', places, { current: undefined }),
        'second/config': config('staging', places, { user: { tokenFile: 'secrets/token' } }),
        'second/secrets/token': 'file-token\n',
      },
      environment: { KUBECONFIG: `${places.folder}/first/config:${places.folder}/second/config` },
    }),
    kubectl: seen('staging', asToken('file-token')),
  },
  {
    name: 'token and tokenFile: the file wins',
    given: withUser(
      () => ({ token: 'staging-token', tokenFile: 'token' }),
      () => ({ token: 'file-token' }),
    ),
    kubectl: seen('staging', asToken('file-token')),
  },
  {
    name: 'token and a tokenFile that is missing: the token',
    given: withUser(() => ({ token: 'staging-token', tokenFile: 'token' })),
    kubectl: seen('staging'),
  },
  {
    name: 'a tokenFile that is missing',
    given: withUser(() => ({ tokenFile: 'token' })),
    kubectl: { refuses: 'no such file or directory' },
  },
  {
    name: 'a tokenFile that is empty',
    given: withUser(
      () => ({ tokenFile: 'token' }),
      () => ({ token: '' }),
    ),
    kubectl: { refuses: 'Please enter Username' },
  },
  {
    name: 'token-file, which is not a field',
    given: withUser(
      () => ({ 'token-file': 'token' }),
      () => ({ token: 'file-token' }),
    ),
    kubectl: { refuses: 'Please enter Username' },
  },
  {
    name: 'a token that is a number',
    given: withUser(() => ({ token: 12345 })),
    kubectl: { refuses: 'cannot unmarshal number' },
  },
  {
    name: 'username and password',
    given: withUser(() => ({ username: 'operator', password: 'open:sesame' })),
    kubectl: seen('staging', { authorization: `Basic ${base64('operator:open:sesame')}` }),
  },
  {
    name: 'username and token',
    given: withUser(() => ({ username: 'operator', password: 'sesame', token: 'staging-token' })),
    kubectl: { refuses: 'more than one authentication method found' },
  },
  {
    name: 'no credentials',
    given: withUser(() => ({})),
    kubectl: { refuses: 'Please enter Username' },
  },
  {
    name: 'a client certificate in the file',
    given: withUser(({ client }) => ({
      'client-certificate-data': base64(client.certificate),
      'client-key-data': base64(client.privateKey),
    })),
    kubectl: { server: 'staging', path, certificate: 'operator' },
  },
  {
    name: 'client-certificate and client-key, from the folder of the file that names them',
    given: withUser(
      () => ({ 'client-certificate': 'pki/client.crt', 'client-key': 'pki/client.key' }),
      ({ client }) => ({ 'pki/client.crt': client.certificate, 'pki/client.key': client.privateKey }),
    ),
    kubectl: { server: 'staging', path, certificate: 'operator' },
  },
  {
    name: 'a client certificate and a token: both',
    given: withUser(({ client }) => ({
      token: 'staging-token',
      'client-certificate-data': base64(client.certificate),
      'client-key-data': base64(client.privateKey),
    })),
    kubectl: seen('staging', { certificate: 'operator' }),
  },
  {
    name: 'a client certificate without its key',
    given: withUser(({ client }) => ({ 'client-certificate-data': base64(client.certificate) })),
    kubectl: { refuses: 'client-key-data or client-key must be specified' },
  },
  {
    name: 'client-certificate and client-certificate-data',
    given: withUser(
      ({ client }) => ({
        'client-certificate-data': base64(client.certificate),
        'client-certificate': 'client.crt',
        'client-key-data': base64(client.privateKey),
      }),
      ({ client }) => ({ 'client.crt': client.certificate }),
    ),
    kubectl: { refuses: 'client-cert-data and client-cert are both specified' },
  },
  {
    name: 'client-key and client-key-data',
    given: withUser(
      ({ client }) => ({
        'client-certificate-data': base64(client.certificate),
        'client-key': 'client.key',
        'client-key-data': base64(client.privateKey),
      }),
      ({ client }) => ({ 'client.key': client.privateKey }),
    ),
    kubectl: { refuses: 'client-key-data and client-key are both specified' },
  },
  {
    name: 'client-certificate that is missing',
    given: withUser(({ client }) => ({
      'client-certificate': 'client.crt',
      'client-key-data': base64(client.privateKey),
    })),
    kubectl: { refuses: 'unable to read client-cert' },
  },
  {
    name: 'on behalf of somebody else, with groups and more',
    given: withUser(() => ({
      token: 'staging-token',
      as: 'deployer',
      'as-uid': '42',
      'as-groups': ['developers', 'on-call'],
      'as-user-extra': { 'scopes/team': ['database'] },
    })),
    kubectl: seen('staging', {
      impersonate: { user: 'deployer', uid: '42', group: 'developers, on-call', 'extra-scopes%2fteam': 'database' },
    }),
  },
  {
    name: 'on behalf of groups without a user',
    given: withUser(() => ({ token: 'staging-token', 'as-groups': ['developers'] })),
    kubectl: { refuses: 'without impersonating a user' },
  },

  // Plugins.
  {
    name: 'an exec plugin, from the folder of the file that names it',
    given: withUser(
      () => ({ exec: { ...execV1, command: './plugin.sh' } }),
      () => ({ 'plugin.sh': plugin({ apiVersion: execV1.apiVersion, status: { token: 'plugin-token' } }) }),
    ),
    kubectl: seen('staging', asToken('plugin-token')),
  },
  {
    name: 'an exec plugin with arguments and environment',
    given: withUser(() => ({
      exec: {
        ...execV1,
        command: 'sh',
        args: ['-c', 'echo "$CREDENTIAL"'],
        env: [
          {
            name: 'CREDENTIAL',
            value: JSON.stringify({
              kind: 'ExecCredential',
              apiVersion: execV1.apiVersion,
              status: { token: 'environment-token' },
            }),
          },
        ],
      },
    })),
    kubectl: seen('staging', asToken('environment-token')),
  },
  {
    name: 'an exec plugin that prints something else',
    given: withUser(() => ({ exec: { ...execV1, command: 'echo', args: ['logged in'] } })),
    kubectl: { refuses: 'decoding stdout' },
  },
  {
    name: 'an exec plugin that gives a certificate',
    given: withUser(
      () => ({ exec: { ...execV1, command: './plugin.sh' } }),
      ({ client }) => ({
        'plugin.sh': plugin({
          apiVersion: execV1.apiVersion,
          status: { clientCertificateData: client.certificate, clientKeyData: client.privateKey },
        }),
      }),
    ),
    kubectl: { server: 'staging', path, certificate: 'operator' },
  },
  {
    name: 'an exec plugin that is told the cluster',
    given: withUser(
      () => ({ exec: { ...execV1, command: './plugin.sh', provideClusterInfo: true } }),
      () => ({
        'plugin.sh':
          `#!/bin/sh\nserver=$(echo "$KUBERNETES_EXEC_INFO" | sed 's/.*"server":"https:\\/\\/\\([0-9.]*\\):.*/\\1/')\n` +
          `echo '{"kind":"ExecCredential","apiVersion":"${execV1.apiVersion}","status":{"token":"for-'$server'"}}'\n`,
      }),
    ),
    kubectl: seen('staging', asToken('for-127.0.0.1')),
  },
  {
    name: 'an exec plugin beside a token: the token',
    given: withUser(
      () => ({ token: 'staging-token', exec: { ...execV1, command: './plugin.sh' } }),
      () => ({ 'plugin.sh': plugin({ apiVersion: execV1.apiVersion, status: { token: 'plugin-token' } }) }),
    ),
    kubectl: seen('staging'),
  },
  {
    name: 'an exec plugin of v1beta1, without interactiveMode',
    given: withUser(
      () => ({ exec: { apiVersion: 'client.authentication.k8s.io/v1beta1', command: './plugin.sh' } }),
      () => ({
        'plugin.sh': plugin({
          apiVersion: 'client.authentication.k8s.io/v1beta1',
          status: { token: 'plugin-token' },
        }),
      }),
    ),
    kubectl: seen('staging', asToken('plugin-token')),
  },
  {
    name: 'an exec plugin of v1, without interactiveMode',
    given: withUser(() => ({ exec: { apiVersion: execV1.apiVersion, command: 'true' } })),
    kubectl: { refuses: 'interactiveMode must be specified' },
  },
  {
    name: 'an exec plugin without apiVersion',
    given: withUser(() => ({ exec: { command: 'true', interactiveMode: 'Never' } })),
    kubectl: { refuses: 'apiVersion must be specified' },
  },
  {
    name: 'an exec plugin that answers in another version',
    given: withUser(
      () => ({ exec: { ...execV1, command: './plugin.sh' } }),
      () => ({
        'plugin.sh': plugin({
          apiVersion: 'client.authentication.k8s.io/v1beta1',
          status: { token: 'plugin-token' },
        }),
      }),
    ),
    kubectl: { refuses: 'exec plugin is configured to use API version' },
    ours: {
      answer: seen('staging', asToken('plugin-token')),
      because: '@kubernetes/client-node runs plugins, and takes both',
    },
  },
  {
    name: 'an exec plugin that fails',
    given: withUser(
      () => ({ exec: { ...execV1, command: './plugin.sh' } }),
      () => ({ 'plugin.sh': '#!/bin/sh\nexit 3\n' }),
    ),
    kubectl: { refuses: 'exit code 3' },
  },
  {
    name: 'an exec plugin that must ask a person',
    given: withUser(() => ({ exec: { ...execV1, command: 'true', interactiveMode: 'Always' } })),
    kubectl: { refuses: 'standard input is not a terminal' },
  },
  {
    name: 'an exec plugin beside an auth-provider',
    given: withUser(() => ({ exec: { ...execV1, command: 'true' }, 'auth-provider': { name: 'oidc', config: {} } })),
    kubectl: { refuses: 'authProvider cannot be provided in combination with an exec plugin' },
  },
  {
    name: 'an auth-provider that does not exist',
    given: withUser(() => ({ 'auth-provider': { name: 'nobody', config: {} } })),
    kubectl: { refuses: 'no Auth Provider found for name "nobody"' },
  },

  // Proxies.
  {
    name: 'proxy-url, to loopback too',
    given: withCluster(({ httpProxy }) => ({ 'proxy-url': httpProxy })),
    kubectl: seen('staging', { via: 'http proxy' }),
  },
  {
    name: 'proxy-url with credentials',
    given: withCluster(({ httpProxy }) => ({ 'proxy-url': httpProxy.replace('://', '://operator:sesame%21@') })),
    kubectl: seen('staging', { via: 'http proxy', proxyAuthorization: `Basic ${base64('operator:sesame!')}` }),
  },
  {
    name: 'proxy-url with TLS, whose certificate is of the authority of the cluster',
    given: withCluster(({ tlsProxy }) => ({ 'proxy-url': tlsProxy })),
    kubectl: seen('staging', { via: 'http proxy' }),
  },
  {
    name: 'proxy-url of SOCKS',
    given: withCluster(({ socksProxy }) => ({ 'proxy-url': socksProxy })),
    kubectl: seen('staging', { via: 'SOCKS proxy' }),
  },
  {
    name: 'proxy-url of SOCKS, with a name that only the proxy resolves',
    given: withCluster((places) => ({
      server: byName(places),
      'tls-server-name': 'staging.example.com',
      'proxy-url': places.socksProxy,
    })),
    kubectl: seen('staging', { ...named, via: 'SOCKS proxy' }),
  },
  {
    name: 'proxy-url for a server without TLS',
    given: withCluster(({ plain, httpProxy }) => ({ server: plain, 'proxy-url': httpProxy })),
    kubectl: { server: 'plain', path, via: 'http proxy' },
  },
  {
    name: 'proxy-url of another scheme',
    given: withCluster(({ httpProxy }) => ({ 'proxy-url': httpProxy.replace('http', 'ftp') })),
    kubectl: { refuses: 'unsupported scheme "ftp"' },
  },
  {
    name: 'proxy-url with credentials that cannot be read',
    given: withCluster(({ httpProxy }) => ({ 'proxy-url': httpProxy.replace('://', '://operator:100%@') })),
    kubectl: { refuses: 'could not parse' },
  },
  {
    name: 'HTTPS_PROXY with credentials',
    given: throughProxy(({ httpProxy }) => ({ HTTPS_PROXY: httpProxy.replace('://', '://operator:sesame@') })),
    kubectl: { ...proxied, proxyAuthorization: `Basic ${base64('operator:sesame')}` },
  },
  {
    name: 'an HTTPS_PROXY that is not a URL: none',
    given: throughProxy(({ httpProxy }) => ({ HTTPS_PROXY: httpProxy.replace('://', '://operator:100%@') })),
    kubectl: seen('staging', named),
  },
  {
    name: 'a proxy that refuses',
    given: withCluster(({ refusingProxy }) => ({ 'proxy-url': refusingProxy })),
    kubectl: { refuses: 'Forbidden' },
    code: 'ERR_EXTERNALNAME_KUBERNETES_UNAVAILABLE',
  },
  {
    name: 'proxy-url, though NO_PROXY and HTTPS_PROXY say otherwise',
    given: oneFile(
      (places) => config('staging', places, { cluster: { 'proxy-url': places.httpProxy } }),
      ({ socksProxy }) => ({ environment: { HTTPS_PROXY: socksProxy, NO_PROXY: '*' } }),
    ),
    kubectl: seen('staging', { via: 'http proxy' }),
  },
  {
    name: 'HTTPS_PROXY',
    given: throughProxy(({ httpProxy }) => ({ HTTPS_PROXY: httpProxy })),
    kubectl: proxied,
  },
  {
    name: 'https_proxy',
    given: throughProxy(({ httpProxy }) => ({ https_proxy: httpProxy })),
    kubectl: proxied,
  },
  {
    name: 'HTTPS_PROXY and https_proxy: upper case wins',
    given: throughProxy(({ httpProxy, socksProxy }) => ({ HTTPS_PROXY: httpProxy, https_proxy: socksProxy })),
    kubectl: proxied,
  },
  {
    name: 'an HTTPS_PROXY that is empty: https_proxy',
    given: throughProxy(({ httpProxy }) => ({ HTTPS_PROXY: '', https_proxy: httpProxy })),
    kubectl: proxied,
  },
  {
    name: 'HTTPS_PROXY without a scheme',
    given: throughProxy(({ httpProxy }) => ({ HTTPS_PROXY: httpProxy.slice('http://'.length) })),
    kubectl: proxied,
  },
  {
    name: 'HTTPS_PROXY of SOCKS',
    given: throughProxy(({ socksProxy }) => ({ HTTPS_PROXY: socksProxy })),
    kubectl: seen('staging', { ...named, via: 'SOCKS proxy' }),
  },
  {
    name: 'HTTPS_PROXY, and a name that only the proxy resolves',
    given: throughProxy(({ httpProxy }) => ({ HTTPS_PROXY: httpProxy }), byName),
    kubectl: proxied,
  },
  {
    name: 'HTTPS_PROXY, and a server on loopback',
    given: throughProxy(
      ({ httpProxy }) => ({ HTTPS_PROXY: httpProxy }),
      ({ staging: server }) => server,
    ),
    kubectl: seen('staging', named),
  },
  {
    name: 'HTTP_PROXY alone, and a server with TLS',
    given: throughProxy(({ httpProxy }) => ({ HTTP_PROXY: httpProxy })),
    kubectl: seen('staging', named),
  },
  {
    name: 'ALL_PROXY, which is not read',
    given: throughProxy(({ httpProxy }) => ({ ALL_PROXY: httpProxy, all_proxy: httpProxy })),
    kubectl: seen('staging', named),
  },
  {
    name: 'HTTP_PROXY, and a server without TLS',
    given: throughProxy(
      ({ httpProxy }) => ({ HTTP_PROXY: httpProxy }),
      ({ plain }) => plain.replace('127.0.0.1', '0.0.0.0'),
    ),
    kubectl: { server: 'plain', path, via: 'http proxy' },
  },
  ...['0.0.0.0', '0.0.0.0/8', '10.0.0.0/8, 0.0.0.0', '*', 'example.com,*', '0.0.0.0:{port}', '::ffff:0.0.0.0'].map(
    (list): KubeconfigCase => ({
      name: `NO_PROXY=${list} excepts 0.0.0.0`,
      given: throughProxy((places) => ({
        HTTPS_PROXY: places.httpProxy,
        NO_PROXY: list.replace('{port}', new URL(places.staging).port),
      })),
      kubectl: seen('staging', named),
    }),
  ),
  ...['0.0.0.0:1', '10.0.0.0/8', '0.0.0', '*.0.0', '.0.0', 'localhost', '0.0.0.0/33', '0.0.0.0;example.com', ','].map(
    (list): KubeconfigCase => ({
      name: `NO_PROXY=${list} does not except 0.0.0.0`,
      given: throughProxy(({ httpProxy }) => ({ HTTPS_PROXY: httpProxy, NO_PROXY: list })),
      kubectl: proxied,
    }),
  ),
  ...[
    'example.com',
    '.example.com',
    '*.example.com',
    'EXAMPLE.COM',
    'com',
    unresolvable,
    'example.com:{port}',
    ' example.com ',
    'other.example, example.com',
  ].map(
    (list): KubeconfigCase => ({
      name: `NO_PROXY=${list.replace(unresolvable, 'the name itself')} excepts a name below example.com`,
      given: throughProxy(
        (places) => ({
          HTTPS_PROXY: places.httpProxy,
          NO_PROXY: list.replace('{port}', new URL(places.staging).port),
        }),
        byName,
      ),
      kubectl: { refuses: 'no such host' },
      code: 'ERR_EXTERNALNAME_KUBERNETES_UNAVAILABLE',
    }),
  ),
  ...[`.${unresolvable}`, 'ample.com', 'example', 'example.com.', 'example.com:1', '*example.com', '0.0.0.0/0'].map(
    (list): KubeconfigCase => ({
      name: `NO_PROXY=${list.replace(unresolvable, 'the name itself')} does not except a name below example.com`,
      given: throughProxy(({ httpProxy }) => ({ HTTPS_PROXY: httpProxy, NO_PROXY: list }), byName),
      kubectl: proxied,
    }),
  ),
  {
    name: 'no_proxy in lower case',
    given: throughProxy(({ httpProxy }) => ({ HTTPS_PROXY: httpProxy, no_proxy: '0.0.0.0' })),
    kubectl: seen('staging', named),
  },
];
