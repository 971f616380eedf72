import { InvalidArgumentError } from '@externalname/core';
import type { Finding } from '@externalname/doctor';
import { clusterOptions } from '../cluster.ts';
import { choice, command, number, text, texts } from '../command.ts';
import { certificates } from '../database.ts';
import { exitCodes } from '../exit-codes.ts';
import { nameserverOptions, nameserversOf } from '../nameservers.ts';
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
  async run({ arguments: [service], options, output, stdin, environment, signal, programName: program }) {
    const { diagnose, explainError } = await import('@externalname/doctor');
    const { showFinding, showPage } = await import('../doctor/page.ts');
    let errors: readonly Finding[] = [];
    if (service === undefined || options.error !== undefined) {
      const pasted = options.error ?? (stdin.isTTY ? undefined : '-');
      if (pasted === undefined)
        throw new InvalidArgumentError('service', 'name a Service, or give an error with --error or on stdin');
      errors = explainError(pasted === '-' ? await textFrom(stdin, signal) : pasted, { program });
      if (output.isText) for (const error of errors) showFinding(output, error);
    }
    if (service === undefined) {
      if (!output.isText) output.data({ findings: errors });
      else if (errors.length === 0)
        output.line(`This error is not known here. Name the Service: ${program} doctor <service>`);
      return errors.length === 0 ? exitCodes.ok : exitCodes.failed;
    }
    const { namespace, clusterDomain, kubeconfig, context, port, protocol, path, role, timeout } = options;
    const user = options.user ?? environment['PGUSER'];
    const ca = await certificates(options.ca, environment);
    const diagnosis = await output.progress(`looking at ${service}`, () =>
      diagnose({
        service,
        ...{ namespace, clusterDomain, kubectl: { kubeconfig, context }, environment },
        ...nameserversOf(options),
        ...{ allowedTargets: anyOr(options.allowedTargets), allowedNetworks: anyOr(options.allowedNetworks) },
        ...{ port, protocol, path, role, ca, program, signal },
        login:
          user === undefined
            ? undefined
            : {
                user,
                database: options.database ?? environment['PGDATABASE'],
                password: environment['PGPASSWORD'],
              },
        timeoutMillis: timeout === undefined ? undefined : timeout * 1_000,
      }),
    );
    const { findings, facts, lookedAt: _, ...summary } = diagnosis;
    if (output.isText) showPage(output, diagnosis);
    else output.data({ ...summary, errors, findings, facts });
    return diagnosis.healthy ? exitCodes.ok : exitCodes.failed;
  },
});

function anyOr(words: readonly string[]): readonly string[] | 'any' | undefined {
  if (words.length === 0) return undefined;
  return words.length === 1 && words[0] === 'any' ? 'any' : words;
}
