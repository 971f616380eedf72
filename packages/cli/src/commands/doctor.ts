import { readFile } from 'node:fs/promises';
import { discoverClusterContext, InvalidArgumentError, parseServiceReference } from '@externalname/core';
import { allowedTargetsFrom } from '@externalname/core/internal';
import { type Cluster, chosenCluster, clusterOptions } from '../cluster.ts';
import { choice, command, number, text, texts } from '../command.ts';
import type { Asked, Failed, Protocol } from '../doctor/facts.ts';
import { type Finding, judge } from '../doctor/finding.ts';
import { exitCodes } from '../exit-codes.ts';
import { findNameservers, nameserverOptions } from '../nameservers.ts';
import { outputOption } from '../output-option.ts';
import { textFrom } from '../stdin.ts';

/** What is wrong with a Service, first things first. */
export const doctor = command({
  arguments: [
    {
      name: '[service]',
      summary: 'name of the Service, webscaler-db or webscaler-db.<namespace>',
      complete: 'services',
    },
  ],
  about:
    'Looks at the Service, the allow-list, every DNS server, every address, TLS, PostgreSQL or HTTP, and RBAC, and changes nothing. ' +
    'A password is sent only to an allowed target that has proven its name. Without a Service, explains the error on stdin.',
  options: {
    ...clusterOptions,
    allowedTargets: texts(
      '--allowed-targets <hosts>',
      'hosts that the Service may point to, or any; default: EXTERNALNAME_ALLOWED_TARGETS',
    ),
    allowedNetworks: texts('--allowed-networks <cidrs>', 'networks that the addresses must be in, or any'),
    port: number('-p, --port <port>', 'port of the target; default: 5432 for postgres, else 443', {
      least: 1,
      most: 65_535,
      whole: true,
    }),
    protocol: choice('--protocol <name>', 'what is spoken there; default: postgres', [
      'postgres',
      'tls',
      'https',
      'tcp',
    ]),
    path: text('--path <path>', 'path of the HTTPS request; default: /'),
    ca: text('--ca <file>', 'certificates to trust; default: PGSSLROOTCERT, else those of Node.js', 'files'),
    user: text(
      '--user <role>',
      'role to log in to PostgreSQL with, password in PGPASSWORD; default: PGUSER, else no login',
    ),
    database: text('--database <name>', 'database to log in to; default: PGDATABASE, else the name of the role'),
    role: choice('--role <role>', 'what the PostgreSQL server should be; default: primary', [
      'primary',
      'standby',
      'any',
    ]),
    ...nameserverOptions,
    timeout: number('--timeout <seconds>', 'longest time for one check; default: 5', { above: 0, most: 300 }),
    error: text('--error <text>', 'an error to explain, - for stdin'),
    output: outputOption,
  },
  examples: [
    {
      command: 'doctor webscaler-db --allowed-targets primary-db.example.com,secondary-db.example.com',
      does: 'everything but the login',
    },
    { command: 'doctor webscaler-db.payments --user app --ca ca.pem', does: 'with a login, password in PGPASSWORD' },
    { command: 'doctor webscaler-api --protocol https --path /healthz', does: 'a Service for HTTPS' },
    {
      command: `doctor --error 'curl: (60) SSL: no alternative certificate subject name matches'`,
      does: 'what an error means',
    },
    { command: 'doctor webscaler-db -o json | jq -r .findings[0].rule', does: 'for a program' },
  ],
  async run({ arguments: [service], options, output, stdin, environment, signal, programName }) {
    const { showFinding, showPage } = await import('../doctor/page.ts');
    let errors: readonly Finding[] = [];
    if (service === undefined || options.error !== undefined) {
      const pasted = options.error ?? (stdin.isTTY ? undefined : '-');
      if (pasted === undefined)
        throw new InvalidArgumentError('service', 'name a Service, or give an error with --error or on stdin');
      errors = await explained(pasted === '-' ? await textFrom(stdin, signal) : pasted, programName);
      if (service === undefined) {
        if (!output.isText) output.data({ findings: errors });
        else for (const error of errors) showFinding(output, error);
        if (errors.length === 0 && output.isText)
          output.line(`This error is not known here. Name the Service: ${programName} doctor <service>`);
        return errors.length === 0 ? exitCodes.ok : exitCodes.failed;
      }
      if (output.isText) for (const error of errors) showFinding(output, error);
    }
    const [{ gather }, { rules }] = await Promise.all([import('../doctor/gather.ts'), import('../doctor/rules.ts')]);
    const cluster = await chosenCluster(options, environment).catch(unconfigured);
    const nameservers = await findNameservers(options);
    const asked = askedFor(service, options, { cluster, nameservers, programName });
    const listed = options.allowedTargets.length > 0 ? anyOr(options.allowedTargets) : undefined;
    const ca = options.ca ?? environment['PGSSLROOTCERT'];
    const user = options.user ?? environment['PGUSER'];
    const facts = await output.progress(`looking at ${asked.reference.fullName}`, async () =>
      gather({
        asked,
        cluster,
        nameservers,
        allowedTargets: listed ?? allowedTargetsFrom({ ...environment }),
        allowedFrom: listed === undefined ? 'environment' : 'option',
        allowedNetworks: options.allowedNetworks.length > 0 ? anyOr(options.allowedNetworks) : undefined,
        ca: ca === undefined || ca === 'system' ? undefined : await authorities(ca),
        login:
          user === undefined
            ? undefined
            : {
                user,
                database: options.database ?? environment['PGDATABASE'] ?? user,
                password: environment['PGPASSWORD'],
              },
        path: options.path ?? '/',
        timeoutMillis: (options.timeout ?? 5) * 1_000,
        signal,
      }),
    );
    const findings = judge(facts, rules);
    const healthy = findings.every(({ severity }) => severity === 'note');
    if (output.isText) showPage(output, facts, findings);
    else
      output.data({
        service: asked.reference.fullName,
        target: facts.target?.externalName,
        healthy,
        errors,
        findings,
        facts,
      });
    return healthy ? exitCodes.ok : exitCodes.failed;
  },
});

interface Surrounding {
  readonly cluster: Cluster | Failed;
  readonly nameservers: { readonly clusterDomain: string | undefined };
  readonly programName: string;
}

function askedFor(
  written: string,
  options: {
    readonly namespace: string | undefined;
    readonly context: string | undefined;
    readonly kubeconfig: string | undefined;
    readonly clusterDomain: string | undefined;
    readonly port: number | undefined;
    readonly protocol: Protocol | undefined;
    readonly role: Asked['role'] | undefined;
  },
  { cluster, nameservers, programName }: Surrounding,
): Asked {
  const { protocol = 'postgres', role = 'primary', port = protocol === 'postgres' ? 5432 : 443 } = options;
  const config = 'kind' in cluster ? undefined : cluster.kubeConfig;
  const current = config?.getContextObject(config.getCurrentContext())?.namespace;
  const namespace = options.namespace ?? (current || discoverClusterContext({ searchDomains: [] }).namespace);
  const clusterDomain = options.clusterDomain ?? nameservers.clusterDomain;
  const reference = parseServiceReference(written, { namespace, clusterDomain });
  const named = [
    ...(options.kubeconfig === undefined ? [] : ['--kubeconfig', quoted(options.kubeconfig)]),
    ...(options.context === undefined ? [] : ['--context', quoted(options.context)]),
  ];
  const inNamespace =
    reference.namespace === current || (current === undefined && reference.namespace === 'default')
      ? []
      : ['-n', quoted(reference.namespace)];
  return {
    reference,
    written,
    port,
    protocol,
    role,
    kubectl: ['kubectl', ...named, ...inNamespace].join(' '),
    program: programName,
    flags: [...named, ...(written.includes('.') ? [] : inNamespace)].map((word) => ` ${word}`).join(''),
  };
}

/** A word as a shell reads it back. */
function quoted(word: string): string {
  return /^[\w./:@%+=,-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

function unconfigured(error: unknown): Failed {
  const { code, message } = error as { code?: unknown; message?: unknown };
  if (code !== 'ERR_EXTERNALNAME_KUBERNETES_CONFIG') throw error;
  return { kind: 'failed', code, message: String(message) };
}

function anyOr(words: readonly string[]): readonly string[] | 'any' {
  return words.length === 1 && words[0] === 'any' ? 'any' : words;
}

async function authorities(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    throw new InvalidArgumentError('--ca', `${file} cannot be read`, { cause });
  }
}

async function explained(pasted: string, program: string): Promise<readonly Finding[]> {
  const { recognised } = await import('../doctor/symptoms.ts');
  return recognised(pasted, program);
}
