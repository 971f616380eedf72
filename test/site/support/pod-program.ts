// The program in a pod: an application that does what a test asks it to. It ends when the process that started it does.
import { podCalls } from './pod-calls.ts';
import type { Answer, Call } from './remote-pod.ts';

process.on('disconnect', () => process.exit());
process.on('message', ({ id, name, parameters }: Call) => {
  const call = podCalls[name] as (...parameters: unknown[]) => Promise<unknown>;
  call(...parameters).then(
    (value) => answer({ id, value }),
    (error: unknown) => answer({ id, failure: failureOf(error) }),
  );
});
answer({ id: 0, value: 'ready' });

function answer(message: Answer): void {
  if (process.connected) process.send?.(message, undefined, undefined, () => undefined);
}

function failureOf(error: unknown): Answer['failure'] {
  if (!(error instanceof Error)) return { message: String(error) };
  const { message, code, outcome, cause } = error as Error & { code?: string; outcome?: string };
  return { message, code, outcome, causes: causesOf(cause) };
}

function causesOf(cause: unknown): string[] {
  if (cause instanceof AggregateError) return cause.errors.flatMap(causesOf);
  if (!(cause instanceof Error)) return [];
  return [`${(cause as { code?: string }).code ?? ''} ${cause.message}`, ...causesOf(cause.cause)];
}
