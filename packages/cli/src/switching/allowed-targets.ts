import { allowedTargetsFrom } from '@externalname/core/internal';
import { texts } from '../command.ts';

/** The allow-list, the same as in the applications. */
export const allowedTargetsOption = texts(
  '--allowed-targets <hosts>',
  'hosts that the Service may point to, or any; default: EXTERNALNAME_ALLOWED_TARGETS',
);

/** The list of the command line, else that of the environment, and the hosts that the command line names by themselves. */
export function allowedTargetsOf(
  given: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
  named: readonly string[],
): readonly string[] | 'any' {
  const listed = given.length > 0 ? given : (allowedTargetsFrom(environment) ?? []);
  return listed === 'any' || listed.includes('any') ? 'any' : [...listed, ...named];
}
