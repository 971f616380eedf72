import { checkText, printable } from '@externalname/core/internal';
import type { Facts } from '../facts/facts.ts';

/** `error`: users see it. `warning`: they will, or some do. `note`: worth knowing; it does not change the exit status. */
export type Severity = 'error' | 'warning' | 'note';

/** What is wrong: what it means, what users see, and the commands that mend it. All of it can be shown in a terminal. */
export interface Finding {
  /** Its code, which stays the same: `dns-target-missing`. */
  readonly rule: string;
  /** How bad it is. */
  readonly severity: Severity;
  /** One sentence with the names and values at hand. */
  readonly says: string;
  /** Why it is so, and what follows from it. */
  readonly means: string;
  /** What users see of it: the errors of their clients. */
  readonly users: string;
  /** Commands, and sentences where no command does it: see {@link isCommand}. */
  readonly mend: readonly string[];
}

/** One line of a table of rules: judges the facts, without I/O. */
export interface Rule {
  readonly code: string;
  readonly severity: Severity;
  judge(facts: Facts): Finding | undefined;
}

/** Declares a rule: `find` returns what the sentences are made of, or undefined if all is well. */
export function rule<Found>(
  code: string,
  severity: Severity,
  texts: {
    readonly find: (facts: Facts) => Found | undefined | false;
    readonly says: (found: Found, facts: Facts) => string;
    readonly means: string | ((found: Found, facts: Facts) => string);
    readonly users: string | ((found: Found, facts: Facts) => string);
    readonly mend: (found: Found, facts: Facts) => readonly string[];
  },
): Rule {
  return {
    code,
    severity,
    judge(facts) {
      const found = texts.find(facts);
      if (found === undefined || found === false) return undefined;
      const said = (text: string | ((found: Found, facts: Facts) => string)) =>
        typeof text === 'string' ? text : text(found, facts);
      return {
        rule: code,
        severity,
        // Servers, certificates and annotations are quoted in it, and it is shown in a terminal.
        says: printable(texts.says(found, facts)),
        means: printable(said(texts.means)),
        users: said(texts.users),
        mend: texts.mend(found, facts).map((command) => printable(inSameCluster(command, facts))),
      };
    },
  };
}

/**
 * A name as it may stand in a command that people paste. Names come from DNS servers and annotations, and a shell must
 * not read anything but a name in one.
 */
export function pasted(name: string, otherwise = '<host>'): string {
  return /^[\w*][\w.:*-]*$/.test(name) ? name : otherwise;
}

/**
 * Whether a line of {@link Finding.mend} is to be run, and not a sentence.
 *
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT`
 *
 * @example
 * ```ts
 * for (const line of finding.mend) console.log(isCommand(line) ? `$ ${line}` : line);
 * ```
 */
export function isCommand(line: string): boolean {
  checkText('line', line);
  return /^(kubectl|externalname|npx|dig|nc|curl|openssl|psql|ip|date|timedatectl|PGPASSWORD=|select |alter |\\)/.test(
    line,
  );
}

/** A command of ours, with the options that name the same cluster and namespace. */
function inSameCluster(command: string, { asked }: Facts): string {
  if (asked.flags === '' || !command.startsWith(`${asked.program} `)) return command;
  const [own = '', ...others] = command.split(/(?= \| | {2}#)/);
  return [own, asked.flags, ...others].join('');
}

/** Judges the facts by all rules. First what is worst; of that, first what the others follow from: the order of the rules. */
export function judge(facts: Facts, rules: readonly Rule[]): Finding[] {
  const findings = rules.flatMap((each) => each.judge(facts) ?? []);
  return severities.flatMap((severity) => findings.filter((finding) => finding.severity === severity));
}

const severities: readonly Severity[] = ['error', 'warning', 'note'];
