import { readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { InvalidArgumentError, isExternalNameError } from '@externalname/core';
import { aFunction, anObjectWith, aText, checkOptions, listOf, optional } from '@externalname/core/internal';
import { readYaml } from '@externalname/core/internal-yaml';
import { LocalCluster } from '../local-cluster/cluster.ts';
import type { AnyObject } from '../local-cluster/objects.ts';
import type { LocalClusterOptions } from '../local-cluster/options.ts';
import { randomLoopbackAddress } from '../network/loopback.ts';
import { type CommandArguments, parseCommandLine, usageOf } from './arguments.ts';

/** See {@link runLocalCluster}. */
export interface LocalClusterCommandOptions {
  /** The words of the command line after the command's name. */
  args: readonly string[];
  /** Writes to stdout. */
  print: (text: string) => void;
  /** Writes to stderr. */
  printError: (text: string) => void;
  /** Fires when the command should end. */
  signal: AbortSignal;
  /** What the command is called in its help and its errors. @defaultValue `local-cluster` */
  name?: string | undefined;
}

/**
 * The command `local-cluster`: runs a cluster until the signal fires, and returns the exit status: 0, 1 if it could not run, 2 if the
 * command line cannot be used. Leaves nothing behind.
 */
export async function runLocalCluster(given: LocalClusterCommandOptions): Promise<number> {
  checkOptions(given, {
    args: listOf(aText),
    print: aFunction,
    printError: aFunction,
    signal: anObjectWith('addEventListener'),
    name: optional(aText),
  });
  const { args, print, printError, signal, name = 'local-cluster' } = given;
  let cluster: LocalCluster | undefined;
  try {
    const options = parseCommandLine(args);
    if (options.help) {
      print(usageOf(name));
      return 0;
    }
    const objects = (await Promise.all(options.files.map(readManifests))).flat();
    cluster = await start(options);
    for (const object of objects) await cluster.objects.apply(object);
    const kubeconfig = await cluster.writeKubeconfig();
    const resolvConf = join(dirname(kubeconfig), 'resolv.conf');
    await writeFile(resolvConf, cluster.resolvConf());
    print(describe(cluster, kubeconfig, resolvConf));
    await ended(signal);
    return 0;
  } catch (error) {
    printError(`${name}: ${error instanceof Error ? error.message : String(error)}\n`);
    return isExternalNameError(error) && error instanceof InvalidArgumentError ? 2 : 1;
  } finally {
    await cluster?.close();
  }
}

async function start(options: CommandArguments): Promise<LocalCluster> {
  const common: LocalClusterOptions = {
    clusterDomain: options.clusterDomain,
    ttlSeconds: options.ttlSeconds,
    hosts: options.hosts,
    api: { port: options.apiPort },
  };
  const { forward, dnsPort } = options;
  const address = options.dnsAddress ?? ownAddress();
  try {
    return await LocalCluster.start({ ...common, dns: { address, port: dnsPort ?? 53, forward } });
  } catch (error) {
    // A port below 1024 may need a privilege, or may be in use, and macOS has only one loopback address.
    const code = (error as NodeJS.ErrnoException).code;
    const elsewhere = code === 'EACCES' || code === 'EADDRINUSE' || code === 'EADDRNOTAVAIL';
    if (dnsPort !== undefined || !elsewhere) throw error;
    const fallback = code === 'EADDRNOTAVAIL' && options.dnsAddress === undefined ? '127.0.0.1' : address;
    return LocalCluster.start({ ...common, dns: { address: fallback, port: 0, forward } });
  }
}

function ownAddress(): string {
  return process.platform === 'linux' ? randomLoopbackAddress() : '127.0.0.1';
}

async function readManifests(file: string): Promise<AnyObject[]> {
  const documents = readYaml(await readFile(file, 'utf8'));
  const objects = documents.map(({ value, problems: [problem] }) => {
    if (problem === undefined) return value;
    throw new InvalidArgumentError('--filename', `${file}: line ${problem.line}: ${problem.message}`);
  });
  return objects.filter((object): object is AnyObject => object !== null && object !== undefined);
}

function describe(cluster: LocalCluster, kubeconfig: string, resolvConf: string): string {
  const { dns } = cluster;
  const lines = [
    'Local cluster is ready. Press Ctrl-C to end it.',
    '',
    `  Kubernetes API  ${cluster.api.url}`,
    `  kubeconfig      ${kubeconfig}`,
    `  DNS             ${cluster.nameserver} (UDP and TCP)`,
    `  resolv.conf     ${resolvConf}`,
    '',
    'Try it:',
    `  KUBECONFIG=${kubeconfig} kubectl get services`,
    `  dig @${dns.address} -p ${dns.port} webscaler-db.default.svc.${cluster.clusterDomain}`,
  ];
  if (dns.port === 53) {
    lines.push(
      'Give it to a program as its resolver (Linux, in a mount namespace of its own):',
      `  unshare --map-root-user --mount sh -c 'mount --bind ${resolvConf} /etc/resolv.conf && exec nslookup webscaler-db'`,
    );
  } else {
    lines.push(
      `A resolv.conf cannot name a port, and port 53 was not available: give programs the address ${cluster.nameserver}.`,
    );
  }
  return `${lines.join('\n')}\n`;
}

function ended(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
