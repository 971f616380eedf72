/** Functions that a parent process may call, by name. What they return must be JSON. */
export type Commands = Readonly<Record<string, (...parameters: never[]) => unknown>>;

export interface Question {
  readonly number: number;
  readonly command: string;
  readonly parameters: readonly unknown[];
}

export interface Answer {
  readonly number: number;
  readonly value?: unknown;
  readonly error?: string;
}

/** Lets the parent process call these functions. Names that are not among them are left to others. */
export function answer(commands: Commands): void {
  process.on('message', (question: Question) => {
    const command = commands[question.command] as ((...parameters: unknown[]) => unknown) | undefined;
    if (command === undefined) return;
    Promise.resolve()
      .then(() => command(...question.parameters))
      .then(
        (value) => send({ number: question.number, value }),
        (error: unknown) => send({ number: question.number, error: String(error) }),
      );
  });
}

/** Tells the parent process that all is loaded: what it asks before may be lost. */
export function sayReady(): void {
  send({ number: 0 });
}

function send(reply: Answer): void {
  process.send?.(reply);
}
