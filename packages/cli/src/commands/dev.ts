import { command, list, number, text } from '../command.ts';
import { exitCodes } from '../exit-codes.ts';
import { testingPackage } from '../optional-packages.ts';

const port = { least: 0, most: 65_535, whole: true };
const options = {
  filename: list('-f, --filename <file>', 'apply the manifests of a file at the start; repeatable', 'files'),
  host: list('--host <name=address,...>', 'a name outside the cluster; repeatable'),
  forward: text('--forward <address:port>', 'DNS server for names that --host does not have'),
  clusterDomain: text('--cluster-domain <domain>', 'default: cluster.local'),
  ttl: number('--ttl <seconds>', "TTL of the cluster's records; default: 5", { least: 0, most: 3_600, whole: true }),
  dnsAddress: text('--dns-address <address>', 'default: a loopback address of its own'),
  dnsPort: number('--dns-port <port>', 'default: 53 if that is permitted, else a free one', port),
  apiPort: number('--api-port <port>', 'default: a free one', port),
} as const;

/** `dev`: a cluster in a terminal, for kubectl, dig and programs in any language. */
export const devCommand = command({
  about:
    'The same as the command local-cluster of @externalname/testing: cluster DNS and the Kubernetes API around Services, until Ctrl-C.',
  options,
  examples: [
    {
      command: 'dev -f webscaler-db.yaml --host primary-db.example.com=127.0.0.11',
      does: 'a cluster with one Service, and the host that it stands for',
    },
  ],
  async run({ options: given, output, programName, signal }) {
    const { runLocalCluster } = await testingPackage();
    const args = Object.entries(options).flatMap(([key, { flags }]) => {
      const value = given[key as keyof typeof options];
      const values = value === undefined ? [] : Array.isArray(value) ? value : [value];
      return values.map((each) => `${/--[\w-]+/.exec(flags)?.[0]}=${each}`);
    });
    const code = await runLocalCluster({
      args,
      print: (text) => output.raw(text),
      printError: (text) => output.warn(text.trimEnd()),
      signal,
      name: `${programName} dev`,
    });
    return code === 2 ? exitCodes.usage : code === 0 ? exitCodes.ok : exitCodes.failed;
  },
});
