import type { Readable } from 'node:stream';
import { InvalidArgumentError } from '@externalname/core';
import { abortable } from '@externalname/core/internal';
import type { Output } from './output.ts';

/** Who is asked, and where. */
export interface Asking {
  readonly stdin: Readable & { readonly isTTY?: boolean };
  readonly output: Output;
  readonly signal: AbortSignal;
}

/**
 * Refuses to go on where a question could not be answered: to be called before anything is done.
 *
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT`
 */
export function checkConfirmable(option: string, { stdin }: Pick<Asking, 'stdin'>): void {
  if (stdin.isTTY === true) return;
  throw new InvalidArgumentError(option, 'must be given, because there is no terminal to ask at. Nothing was done');
}

/** Asks at the terminal, and returns the line that was typed, without the spaces around it. Empty if the input ended. */
export async function ask(question: string, { stdin, output, signal }: Asking): Promise<string> {
  output.raw(question);
  let answer = '';
  let take = (_: Buffer | string) => {};
  let end = () => {};
  const line = new Promise<string>((resolve) => {
    take = (chunk) => {
      answer += String(chunk);
      const [typed, ...rest] = answer.split('\n');
      if (rest.length > 0) resolve(typed ?? '');
    };
    end = () => resolve('');
  });
  stdin.on('data', take);
  stdin.once('end', end);
  try {
    return (await abortable(line, signal)).trim();
  } catch (error) {
    // What is said now begins on a line of its own.
    output.line();
    throw error;
  } finally {
    stdin.off('data', take);
    stdin.off('end', end);
    // A terminal that is read keeps the process alive.
    stdin.pause();
  }
}
