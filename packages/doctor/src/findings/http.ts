import { type Facts, type HttpFacts, targetOf } from '../facts/facts.ts';
import { pasted, type Rule, rule } from './finding.ts';

/** One HTTPS request, if it was asked for. */
export const httpRules: readonly Rule[] = [
  rule('http-failed', 'error', {
    find: ({ endpoints }) => endpoints.flatMap(({ http }) => (http?.kind === 'failed' ? [http] : []))[0],
    says: ({ message }, facts) =>
      `${targetOf(facts)} takes the connection and does not answer the request: ${message}.`,
    means: 'TLS works, and what is behind it hangs, closes, or does not speak HTTP.',
    users: 'Requests hang or fail: ECONNRESET, "socket hang up", a gateway timeout.',
    mend: (_, facts) => [`curl -sv -o /dev/null --max-time 5 https://${pasted(targetOf(facts))}:${facts.asked.port}/`],
  }),
  rule('http-misdirected', 'error', {
    find: (facts) => answered(facts, ({ status }) => status === 421),
    says: (_, facts) => `The server says that it does not serve ${targetOf(facts)}: 421 Misdirected Request.`,
    means: 'It has another list of hosts than its certificate.',
    users: 'Every request fails with 421.',
    mend: (_, facts) => [
      `curl -sI https://${pasted(targetOf(facts))}:${facts.asked.port}/`,
      'Add the host to the configuration of the server.',
    ],
  }),
  rule('http-server-error', 'error', {
    find: (facts) => answered(facts, ({ status }) => status >= 500),
    says: ({ status }, facts) => `${targetOf(facts)} answers with status ${status}.`,
    means: 'Name, network and TLS are fine; the application behind them is not.',
    users: `The same status.`,
    mend: (_, facts) => [
      `curl -si https://${pasted(targetOf(facts))}:${facts.asked.port}/`,
      'Read the log of the application.',
    ],
  }),
];

function answered({ endpoints }: Facts, fits: (http: HttpFacts) => boolean): HttpFacts | undefined {
  return endpoints.flatMap(({ http }) => (http?.kind === 'answered' && fits(http) ? [http] : []))[0];
}
