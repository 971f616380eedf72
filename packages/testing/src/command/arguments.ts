import { isIP } from 'node:net';
import { parseArgs } from 'node:util';
import { InvalidArgumentError } from '@externalname/core';
import { checkNumber } from '@externalname/core/internal';

/** The arguments of the `local-cluster` command. */
export interface CommandArguments {
  readonly help: boolean;
  /** Files with manifests that are applied at the start. */
  readonly files: readonly string[];
  /** Names outside the cluster, and their addresses. */
  readonly hosts: Readonly<Record<string, readonly string[]>>;
  readonly clusterDomain: string | undefined;
  readonly ttlSeconds: number | undefined;
  /** If undefined, a loopback address of its own. */
  readonly dnsAddress: string | undefined;
  readonly dnsPort: number | undefined;
  readonly apiPort: number | undefined;
  readonly forward: string | undefined;
}

/**
 * Reads the command line.
 *
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT`, which names the option.
 */
export function parseCommandLine(args: readonly string[]): CommandArguments {
  const { values } = readOptions(args);
  const hosts: Record<string, string[]> = {};
  for (const text of values.host ?? []) {
    const [name = '', list = ''] = text.split('=');
    const addresses = list.split(',');
    if (name === '' || addresses.some((address) => isIP(address) === 0)) {
      throw new InvalidArgumentError('--host', `must be name=address[,address], got ${JSON.stringify(text)}`);
    }
    hosts[name] = [...(hosts[name] ?? []), ...addresses];
  }
  return {
    help: values.help === true,
    files: values.filename ?? [],
    hosts,
    clusterDomain: values['cluster-domain'],
    ttlSeconds: number('--ttl', values.ttl, 3600),
    dnsAddress: values['dns-address'],
    dnsPort: number('--dns-port', values['dns-port'], 65_535),
    apiPort: number('--api-port', values['api-port'], 65_535),
    forward: values.forward,
  };
}

/** What `--help` prints. */
export const usageOf = (name: string) => `Usage: ${name} [options]

Runs a cluster DNS and the Kubernetes API around Services until Ctrl-C.

  -f, --filename <file>          apply the manifests of a file at the start; repeatable
      --host <name=address,...>  a name outside the cluster; repeatable
      --forward <address:port>   DNS server for names that --host does not have
      --cluster-domain <domain>  default cluster.local
      --ttl <seconds>            TTL of the cluster's records, default 5
      --dns-address <address>    default a loopback address of its own
      --dns-port <port>          default 53 if that is permitted, else a free one
      --api-port <port>          default a free one
  -h, --help
`;

function readOptions(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        help: { type: 'boolean', short: 'h' },
        filename: { type: 'string', short: 'f', multiple: true },
        host: { type: 'string', multiple: true },
        forward: { type: 'string' },
        'cluster-domain': { type: 'string' },
        ttl: { type: 'string' },
        'dns-address': { type: 'string' },
        'dns-port': { type: 'string' },
        'api-port': { type: 'string' },
      },
    });
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new InvalidArgumentError('command line', message, { cause });
  }
}

function number(option: string, text: string | undefined, most: number): number | undefined {
  if (text === undefined) return undefined;
  const value: unknown = /^\d+$/.test(text) ? Number(text) : text;
  checkNumber(option, value, { least: 0, most, whole: true });
  return value;
}
