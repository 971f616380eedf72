import { optionsType } from './resources.ts';
import { ApiStatusError, badRequest, type FieldError, forbiddenValue, invalid, unsupportedValue } from './status.ts';

/**
 * Refuses options of a list or a watch that are not valid, or that contradict each other.
 *
 * Source: apimachinery `pkg/apis/meta/internalversion/validation/validation.go`.
 *
 * @throws ApiStatusError 400, 422; 500 for the version of a watch, as the API server has it.
 */
export function checkListOptions(query: URLSearchParams, verb: 'list' | 'watch'): void {
  for (const name of ['limit', 'timeoutSeconds']) {
    const value = query.get(name) ?? '';
    if (/^(?:[+-]?\d+)?$/.test(value)) continue;
    throw badRequest(`strconv.ParseInt: parsing ${JSON.stringify(value)}: invalid syntax`);
  }
  const causes: FieldError[] = [];
  const forbidden = (field: string, why: string) => causes.push(forbiddenValue(field, why));
  const match = query.get('resourceVersionMatch') ?? '';
  const known = (values: readonly string[]) => {
    if (!values.includes(match)) causes.push(unsupportedValue('resourceVersionMatch', match, values));
  };
  const initial = query.has('sendInitialEvents');
  if (verb === 'watch') {
    if (initial && match !== 'NotOlderThan') {
      forbidden('resourceVersionMatch', 'sendInitialEvents requires setting resourceVersionMatch to NotOlderThan');
    }
    if (match !== '') {
      if (!initial) {
        forbidden(
          'resourceVersionMatch',
          'resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided',
        );
      }
      known(['NotOlderThan']);
    }
  } else {
    if (match !== '') {
      if (!query.get('resourceVersion')) {
        forbidden('resourceVersionMatch', 'resourceVersionMatch is forbidden unless resourceVersion is provided');
      }
      if (query.get('continue')) {
        forbidden('resourceVersionMatch', 'resourceVersionMatch is forbidden when continue is provided');
      }
      known(['Exact', 'NotOlderThan', '']);
      if (match === 'Exact' && query.get('resourceVersion') === '0') {
        forbidden('resourceVersionMatch', 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"');
      }
    }
    if (initial) forbidden('sendInitialEvents', 'sendInitialEvents is forbidden for list');
  }
  if (causes.length > 0) throw invalid(optionsType('ListOptions'), '', causes);
  const version = query.get('resourceVersion') ?? '';
  const problem = versionProblem(version);
  if (problem === undefined) return;
  if (verb === 'watch') throw new ApiStatusError(500, '', problem);
  throw badRequest(`invalid resource version: ${problem}`);
}

/** The API server's message for a `resourceVersion` that is not a number. */
export function versionProblem(version: string): string | undefined {
  if (/^\d*$/.test(version)) return undefined;
  const value = JSON.stringify(version);
  return `resourceVersion: Invalid value: ${value}: strconv.ParseUint: parsing ${value}: invalid syntax`;
}
