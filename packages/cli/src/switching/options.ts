import { createLookup, DnsResolver, InvalidArgumentError } from '@externalname/core';
import { objectionKinds, postgresServiceProbes, type SwitchOptions } from '@externalname/kubernetes';
import { chosenCluster, clusterOptions } from '../cluster.ts';
import { type CommandContext, flag, number, type OptionValues, text, texts, words } from '../command.ts';
import { clientFactory, databaseAccess, databaseOptions } from '../database.ts';
import { duration } from '../duration.ts';
import { outputOption } from '../output-option.ts';
import { allowedTargetsOf, allowedTargetsOption } from './allowed-targets.ts';

/** The options that `switch` and `rollback` have in common. */
export const switchingOptions = {
  allowedTargets: allowedTargetsOption,
  reason: text('--reason <text>', 'why, for the record'),
  by: text('--by <name>', 'who, for the record; default: the user that the API server sees'),
  yes: flag('-y, --yes', 'do not ask'),
  dryRun: flag('--dry-run', 'show what would be done, and do nothing'),
  waitForPromotion: duration(
    '--wait-for-promotion <time>',
    'wait that long for a new target that is still a standby; default: it is refused',
    { least: 0, most: 3_600_000 },
  ),
  announce: duration(
    '--announce <time>',
    'tell pools before the probes: they hold new work until the Service is switched, for at most that long; default: it is not announced',
    { least: 0, most: 60_000 },
  ),
  accept: words(
    '--accept <objection,...>',
    'objections to ignore, by their names: the refusal shows them',
    objectionKinds,
  ),
  maxLag: number('--max-lag <bytes>', 'how far the new target may be behind the old one; default: 0', {
    least: 0,
    most: 1e15,
    whole: true,
  }),
  noPostgres: flag('--no-postgres', 'do not log in to the databases: only resolve, connect and check the certificate'),
  noTls: flag('--no-tls', 'do not check the certificate, and do not log in'),
  ...databaseOptions,
  nameserver: texts(
    '-s, --nameserver <address>',
    'DNS server for the names of the databases, address[:port]; repeatable; default: as this machine finds them',
  ),
  dnsServer: texts(
    '--dns-server <address>',
    'DNS server of the cluster that must answer with the new name before it is done; repeatable',
  ),
  timeout: duration('--timeout <time>', 'longest wait for them; default: 90s', { least: 1, most: 3_600_000 }),
  ...clusterOptions,
  output: outputOption,
} as const;

type Context = CommandContext<typeof switchingOptions>;

/** What `switchTarget()` and `rollback()` take, and what must be closed in the end. */
export interface Switching extends AsyncDisposable {
  readonly options: SwitchOptions;
}

/**
 * Makes the options of a switch, with all probes unless they are turned off.
 *
 * @param named hosts that the command line names by themselves
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT`
 */
export async function switchingOf(
  { arguments: [service = ''], options, environment, signal }: Context,
  named: readonly string[],
): Promise<Switching> {
  const allowed = allowedTargetsOf(options.allowedTargets, environment, named);
  const resolver = options.nameserver.length === 0 ? undefined : new DnsResolver({ nameservers: options.nameserver });
  try {
    const { kubeConfig, namespace, clusterDomain } = await chosenCluster(options, environment);
    const probes = await probesOf(options, environment, resolver);
    return {
      options: {
        service,
        namespace,
        clusterDomain,
        kubeConfig,
        allowedTargets: allowed,
        reason: options.reason,
        by: options.by,
        probes,
        maxLagBytes: options.maxLag,
        accept: options.accept,
        waitForPromotionMillis: options.waitForPromotion ?? 0,
        announceMillis: options.announce,
        dnsServers: options.dnsServer.length === 0 ? undefined : options.dnsServer,
        propagationTimeoutMillis: options.timeout,
        signal,
      },
      [Symbol.asyncDispose]: async () => {
        await resolver?.close();
      },
    };
  } catch (error) {
    await resolver?.close();
    throw error;
  }
}

async function probesOf(
  options: OptionValues<typeof switchingOptions>,
  environment: Context['environment'],
  resolver: DnsResolver | undefined,
): Promise<NonNullable<SwitchOptions['probes']>> {
  const access = await databaseAccess(options, environment);
  const lookup = resolver && createLookup(resolver);
  const { port, ca } = access;
  if (options.noTls || options.noPostgres) return postgresServiceProbes({ port, ca, lookup, tls: !options.noTls });
  if (access.user === undefined) {
    throw new InvalidArgumentError(
      '--user',
      'must be given, or PGUSER be set: by default the databases are asked whether the new one takes writes and the old one is fenced. ' +
        'Without that question: --no-postgres',
    );
  }
  return postgresServiceProbes({ port, ca, lookup, client: await clientFactory(access, lookup) });
}
