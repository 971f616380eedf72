// The program of a process of writers: an application that reaches its database through a Service, and knows nothing of the operator.
// It ends when the process that started it does.
import { drained, outcomeOf, switched, targetNotFollowed } from '@externalname/pg';
import { WriteLoad } from '@externalname/testing';
import type { Pool } from 'pg';
import { rowWriter } from './write-row.ts';
import { type Assignment, now, type WriterCommand, type WriterMessage } from './writer-messages.ts';

let reporting: NodeJS.Timeout | undefined;
let application: { readonly load: WriteLoad; readonly pool: Pool } | undefined;

process.on('message', (command: WriterCommand) => {
  if (command.kind === 'stop') stop().catch(fail);
  else if (command.kind === 'write') write();
  else connect(command.assignment).catch(fail);
});
process.on('disconnect', () => process.exit());
// Ctrl-C reaches every process of the terminal. The operator's side decides when this one ends.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);
tell({ kind: 'ready' });

async function connect(assignment: Assignment): Promise<void> {
  noticePool();
  const { pool, write } = rowWriter(assignment);
  // As an application does before it takes requests. A pool that cannot connect shows so with its first write.
  const first = Array.from({ length: assignment.connections }, () => pool.query('select 1'));
  await Promise.allSettled(first);
  const { workers, pauseMillis, firstId } = assignment;
  application = { pool, load: new WriteLoad({ workers, pauseMillis, firstId, write, outcomeOf, now }) };
  tell({ kind: 'connected' });
}

function write(): void {
  application?.load.start();
  reporting = setInterval(report, reportMillis);
}

// What does not settle is up to the operator's side, which ends this process.
async function stop(): Promise<void> {
  await application?.load.stop({ timeoutMillis: Number.POSITIVE_INFINITY });
  clearInterval(reporting);
  report();
  await application?.pool.end();
  process.disconnect();
}

function report(): void {
  if (application !== undefined) tell({ kind: 'report', at: now(), ...application.load.report() });
}

/** What the pool itself says of a switch. */
function noticePool(): void {
  switched.subscribe(({ to, source }) => notice(`the pool learns of it (by ${source}) and moves to ${to}`));
  drained.subscribe(({ to, durationMillis }) =>
    notice(`every connection of the pool is at ${to}, ${Math.round(durationMillis)} ms later`),
  );
  targetNotFollowed.subscribe(({ target, stays, error }) => {
    const reason = error instanceof Error ? error.message : String(error);
    notice(`the pool does not follow to ${target}${stays === undefined ? '' : `, and stays at ${stays}`}: ${reason}`);
  });
}

function notice(text: string): void {
  tell({ kind: 'notice', at: now(), text });
}

function tell(message: WriterMessage): void {
  // After the operator's side has gone, there is no one to tell.
  if (process.connected) process.send?.(message, undefined, undefined, () => undefined);
}

function fail(error: unknown): never {
  console.error(error);
  process.exit(1);
}

const reportMillis = 100;
