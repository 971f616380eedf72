import { parseArgs } from 'node:util';

/** What the command line asks for. */
export interface DemoArguments {
  readonly help: boolean;
  /** The last line on stdout is the verdict as JSON; the timeline goes to stderr. */
  readonly json: boolean;
  /** Plain `pg.Pool`s write beside ours. */
  readonly plainPg: boolean;
  /** The workers are told of a switch by the Kubernetes API, and do not wait for DNS. */
  readonly push: boolean;
  /** Servers, DNS and workers are on machines of their own: in network namespaces. */
  readonly site: boolean;
}

/** The command line cannot be understood. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/**
 * Reads the command line.
 *
 * @throws {@link UsageError}
 */
export function parseArguments(words: readonly string[]): DemoArguments {
  // pnpm passes on a `--` that stands between its own options and those of the script.
  const own = words[0] === '--' ? words.slice(1) : [...words];
  const { tokens } = parseArgs({ args: own, options, strict: false, allowPositionals: true, tokens: true });
  const given = new Set<string>();
  for (const token of tokens) {
    if (token.kind !== 'option') throw new UsageError(`unexpected argument ${JSON.stringify(own[token.index])}`);
    if (!Object.hasOwn(options, token.name)) throw new UsageError(`unknown option ${token.rawName}`);
    if (token.value !== undefined) throw new UsageError(`${token.rawName} takes no value`);
    given.add(token.name);
  }
  return {
    help: given.has('help'),
    json: given.has('json'),
    plainPg: given.has('plain-pg'),
    push: given.has('push'),
    site: given.has('site'),
  };
}

/** Fits a terminal of 80 columns. */
export const usage = `Usage: pnpm demo [options]

Runs the webscaler disaster recovery on two real PostgreSQL servers: 20 workers
write through the Service webscaler-db while its database crashes, and is
switched back on purpose. Takes 15 to 30 seconds, longer on a busy machine.

Options:
  --json      print the verdict as one JSON object, the last line on stdout;
              the timeline goes to stderr. Use: pnpm --silent demo --json
  --plain-pg  let plain pg.Pools write beside it, and say what the run shows of
              them. Takes some 10 seconds more
  --push      let the workers learn of a switch from the Kubernetes API (a
              watch), and say when a DNS poll beside them would have told of
              it. Takes up to 5 seconds more
  --site      put servers and workers on machines of their own: a site, and a
              pod behind a node that routes and translates addresses (network
              namespaces; needs Linux, ip, nft, and root or user namespaces)
  -h, --help  print this

Exit status: 0 the verdict held, 1 it did not, 2 the options cannot be
understood, 3 the demo could not be run, 130 it was interrupted.
docs/guides/demo.md says what each line and figure means.
`;

const options = {
  help: { type: 'boolean', short: 'h' },
  json: { type: 'boolean' },
  'plain-pg': { type: 'boolean' },
  push: { type: 'boolean' },
  site: { type: 'boolean' },
} as const;
