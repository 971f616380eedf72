import type { Clock } from '../clock.ts';
import { onAbort } from '../deadline.ts';
import type { DnsCache } from './cache.ts';
import { type Asked, type FailedOutcome, judge, type Outcome, type Step } from './chain.ts';
import type { FlightState } from './flights.ts';
import type { Question, RecordType } from './message.ts';
import type { AskSettings, Questioner } from './questioner.ts';
import type { Hop } from './resolution.ts';

/** What {@link ChainFollower} works with. */
export interface ChainFollowerDependencies {
  readonly questioner: Questioner;
  readonly cache: DnsCache | undefined;
  readonly clock: Clock;
  /** Read again for each question. */
  readonly settings: () => AskSettings;
  /** Fires when the resolver is closed. */
  readonly closing: AbortSignal;
}

/**
 * Asks for a name and, if an answer ends with an alias, goes on until the end of the chain is known. `judge` decides what to do next; this
 * class does it and puts each answer into the cache.
 */
export class ChainFollower {
  readonly #questioner: Questioner;
  readonly #cache: DnsCache | undefined;
  readonly #clock: Clock;
  readonly #settings: () => AskSettings;
  readonly #closing: AbortSignal;

  constructor(dependencies: ChainFollowerDependencies) {
    this.#questioner = dependencies.questioner;
    this.#cache = dependencies.cache;
    this.#clock = dependencies.clock;
    this.#settings = dependencies.settings;
    this.#closing = dependencies.closing;
  }

  /** Rejects only if the resolver is closed. */
  async follow(name: string, family: 0 | 4 | 6, flight: FlightState): Promise<Outcome> {
    const types: readonly RecordType[] = family === 0 ? ['A', 'AAAA'] : family === 4 ? ['A'] : ['AAAA'];
    let current = name;
    let secondBest: Outcome | undefined;
    let mayAskAgain = true;
    for (;;) {
      const askedAt = this.#clock.now();
      const passed = flight.chain;
      const asked = await this.#ask(current, types, passed, flight);
      const step = judge(asked, { passed, mayAskAgain });
      if (step.kind === 'ask-again') {
        mayAskAgain = false;
        continue;
      }
      const next =
        step.kind === 'ask-alias'
          ? await this.#askAlias({ name: current, asked, askedAt }, step.otherwise, flight)
          : this.#kept({ name: current, asked, askedAt }, step, flight);
      if (next.kind === 'done') {
        return next.outcome.kind === 'addresses' ? next.outcome : (secondBest ?? next.outcome);
      }
      secondBest ??= addressesOf(asked, passed);
      flight.chain = next.chain;
      current = next.chain.at(-1)?.target ?? current;
      mayAskAgain = true;
    }
  }

  /** The questions about one name, side by side. */
  async #ask(
    name: string,
    types: readonly RecordType[],
    passed: readonly Hop[],
    flight: FlightState,
    settings: AskSettings = this.#settings(),
  ): Promise<Asked[]> {
    const put = (type: RecordType, signal: AbortSignal) => {
      const onSend = () => {
        flight.sent = true;
      };
      return this.#questioner.ask({ name, type }, { settings, passed, signal, onSend });
    };
    const [first = 'A', second] = types;
    const one = put(first, this.#closing);
    if (second === undefined) return [await one];
    // A host with IPv4 addresses must not wait for a server that fails at AAAA. The query for A is never given up like that.
    const late = new AbortController();
    const close = () => late.abort(this.#closing.reason);
    const stopListening = onAbort(this.#closing, close);
    if (this.#closing.aborted) close();
    const other = put(second, late.signal).catch((error: unknown) => {
      if (error !== tooLate) throw error;
      return givenUp({ name, type: second });
    });
    const timer = one.then(({ answer }) =>
      answer.kind === 'addresses'
        ? this.#clock.schedule(() => late.abort(tooLate), secondFamilyMillis, { background: true })
        : undefined,
    );
    try {
      return await Promise.all([one, other]);
    } finally {
      stopListening();
      timer.then((set) => set?.cancel()).catch(() => undefined);
    }
  }

  // There is no address. Only here, one more question asks whether the name is an alias that leads nowhere.
  async #askAlias(about: About, otherwise: FailedOutcome, flight: FlightState): Promise<FollowedStep> {
    const passed = flight.chain;
    const settings = this.#settings();
    const [alias] = await this.#ask(about.name, ['CNAME'], passed, flight, {
      ...settings,
      // The caller has waited long enough. A server that knows the alias knows it at once.
      attempts: 1,
      timeoutMillis: Math.min(settings.timeoutMillis, longestAliasMillis),
    });
    if (alias === undefined || !('chain' in alias.answer) || alias.answer.chain.length === 0) {
      return this.#kept(about, { kind: 'done', outcome: otherwise }, flight);
    }
    const step = judge([alias], { passed, mayAskAgain: false });
    if (step.kind !== 'done' && step.kind !== 'ask-on')
      return this.#kept(about, { kind: 'done', outcome: otherwise }, flight);
    return this.#kept({ ...about, asked: [alias] }, step, flight);
  }

  #kept(about: About, step: FollowedStep, flight: FlightState): FollowedStep {
    if (!flight.obsolete) this.#cache?.store({ ...about, step }, this.#clock.now());
    return step;
  }
}

interface About {
  readonly name: string;
  readonly asked: readonly Asked[];
  readonly askedAt: number;
}

type FollowedStep = Extract<Step, { kind: 'done' | 'ask-on' }>;

function addressesOf(asked: readonly Asked[], passed: readonly Hop[]): Outcome | undefined {
  const found = asked.find(({ answer }) => answer.kind === 'addresses')?.answer;
  if (found?.kind !== 'addresses') return undefined;
  return { kind: 'addresses', chain: [...passed, ...found.chain], addresses: found.addresses };
}

function givenUp(question: Question): Asked {
  const detail = `no answer for ${question.type} within ${secondFamilyMillis} ms of the other family's`;
  return { question, answer: { kind: 'failed', detail, cause: undefined, reachable: true } };
}

const tooLate = new Error('the other family has answered');

/** How long AAAA may take once A has brought addresses. */
const secondFamilyMillis = 500;

/** How long the question for the alias alone may take. */
const longestAliasMillis = 500;
