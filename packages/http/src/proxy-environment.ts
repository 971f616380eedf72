import { InvalidArgumentError } from '@externalname/core';

/**
 * Whether Node.js was told to use the proxies of the environment, and there is one, is asked when a dispatcher or an agent is made.
 *
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT`
 */
export function refuseEnvironmentProxy(
  environment: NodeJS.ProcessEnv = process.env,
  flags: readonly string[] = process.execArgv,
): void {
  const asked = environment['NODE_USE_ENV_PROXY'] === '1' || usesFlag(flags, environment['NODE_OPTIONS']);
  if (!asked) return;
  const variable = variables.find((name) => environment[name]);
  if (variable === undefined) return;
  throw new InvalidArgumentError(
    'environmentProxy',
    `Node.js was told to use the proxy in ${variable}, and a proxy chooses the address by itself, past allowedNetworks: ` +
      "write environmentProxy: 'ignore' to connect without it",
  );
}

function usesFlag(flags: readonly string[], options = ''): boolean {
  return [...flags, ...options.split(/\s+/)].includes('--use-env-proxy');
}

const variables = ['HTTPS_PROXY', 'https_proxy', 'HTTP_PROXY', 'http_proxy', 'ALL_PROXY', 'all_proxy'];
