// The program of a process of writers: an application that reaches its database through a Service, and knows nothing of the operator.
// It ends when the process that started it does.
import { setTimeout as pause } from 'node:timers/promises';
import { drained, outcomeOf, switched, targetNotFollowed } from '@externalname/pg';
import { type RowWriter, rowWriter } from './write-row.ts';
import {
  type Assignment,
  now,
  type SettledWrite,
  type Write,
  type WriterCommand,
  type WriterMessage,
} from './writer-messages.ts';

const settled: SettledWrite[] = [];
const underWay = new Map<number, Write>();
let stopping = false;

let work: (() => Promise<void>) | undefined;

process.on('message', (command: WriterCommand) => {
  if (command.kind === 'stop') stopping = true;
  else if (command.kind === 'write') work?.().catch(fail);
  else connect(command.assignment).catch(fail);
});
process.on('disconnect', () => process.exit());
// Ctrl-C reaches every process of the terminal. The operator's side decides when this one ends.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);
tell({ kind: 'ready' });

async function connect(assignment: Assignment): Promise<void> {
  noticePool();
  const writer = rowWriter(assignment);
  // As an application does before it takes requests. A pool that cannot connect shows so with its first write.
  const first = Array.from({ length: assignment.connections }, () => writer.pool.query('select 1'));
  await Promise.allSettled(first);
  work = () => run(assignment, writer);
  tell({ kind: 'connected' });
}

async function run(assignment: Assignment, writer: RowWriter): Promise<void> {
  const reporting = setInterval(report, reportMillis);
  let nextId = assignment.firstId;
  await Promise.all(
    Array.from({ length: assignment.workers }, async (_, worker) => {
      while (!stopping) {
        await writeOnce(writer, nextId++, worker);
        await pause(assignment.pauseMillis);
      }
    }),
  );
  clearInterval(reporting);
  report();
  await writer.pool.end();
  process.disconnect();
}

// Whatever happens to a write, its id is not used again.
async function writeOnce(writer: RowWriter, id: number, worker: number): Promise<void> {
  const write = { id, worker, beganAt: now() };
  underWay.set(id, write);
  try {
    const address = await writer.write(id, worker);
    settled.push({ ...write, settledAt: now(), address });
  } catch (error) {
    const { code, message } = error as Error & { code?: string };
    const failure = { code: code ?? message, message, outcome: outcomeOf(error) ?? ('unsaid' as const) };
    settled.push({ ...write, settledAt: now(), failure });
  } finally {
    underWay.delete(id);
  }
}

function report(): void {
  tell({ kind: 'report', at: now(), settled: settled.splice(0), underWay: [...underWay.values()] });
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
