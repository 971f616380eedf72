/**
 * A server that says anything: honest messages that were changed, cut off, put out of order and made up, before and after it lets
 * a client in, in pieces of any size. Finds: a process that ends or hangs, an uncaught exception, a statement that is not
 * answered within its time, and a password that is given to a server twice.
 *
 * pnpm fuzz:messages --minutes 10
 */
import { type FuzzRandom, fuzz } from '../../../../test/fuzz/campaign.ts';
import { Pool } from '../../src/index.ts';
import {
  authentication,
  authenticationOk,
  backendKey,
  cleartextRequest,
  commandComplete,
  emptyQuery,
  errorResponse,
  type FakeSession,
  md5Request,
  message,
  parameter,
  primaryParameters,
  readyForQuery,
  scramRequest,
  startFakePostgres,
} from '../support/fake-postgres.ts';

const password = 'correct-horse';
const column = Buffer.concat([Buffer.from('a\0'), Buffer.alloc(18)]);
const row = message('D', Buffer.from([0, 1, 0, 0, 0, 1, 0x31]));
const honest = [
  ...[cleartextRequest, md5Request, scramRequest, authenticationOk, backendKey(1), readyForQuery(), readyForQuery('T')],
  ...[parameter('server_version', '18.4'), ...primaryParameters, emptyQuery, commandComplete('SELECT 1'), row, row],
  ...[
    errorResponse('57P01', 'FATAL'),
    errorResponse('42601'),
    errorResponse('25006'),
    message('N', 'SNOTICE', 'Mx', Buffer.from([0])),
  ],
  ...[message('T', Buffer.from([0, 1]), column), message('n'), message('s'), message('1'), message('2'), message('3')],
  ...[message('A', Buffer.from([0, 0, 0, 1]), 'jobs', 'payload'), message('t', Buffer.from([0, 1, 0, 0, 0, 23]))],
  ...[
    message('G', Buffer.from([0, 0, 1, 0, 0])),
    message('H', Buffer.from([0, 0, 0])),
    message('W', Buffer.from([0, 0, 0])),
  ],
  ...[message('d', Buffer.from('x')), message('c'), authentication(11, Buffer.from('r=x,s=eA==,i=4096'))],
  ...[authentication(12, Buffer.from('v=x')), authentication(7), authentication(99), message('v', Buffer.alloc(8))],
];

await fuzz(import.meta.url, async () => {
  let random: FuzzRandom | undefined;
  const server = await startFakePostgres({
    script: async (session) => {
      if (random !== undefined) await play(session, random);
    },
  });
  const options = { password, connectionTimeoutMillis: 400, query_timeout: 400, max: 1 };
  return async (given) => {
    random = given;
    const before = server.received().length;
    const service = given.below(2) === 0;
    const demands = given.pick([{}, { requireAuth: 'none' }, { requireAuth: 'password,md5,scram-sha-256,none' }]);
    const common = { ...options, ...demands, failoverTimeoutMillis: 300 };
    const pool = service
      ? new Pool(server.options({ ...common, liveness: false }))
      : new Pool({ ...common, host: '127.0.0.1', port: server.port, user: 'app', ssl: false });
    pool.on('error', () => undefined);
    const query = given.pick(['select 1', { text: 'select $1', values: [1] }, { name: 'a', text: 'select 1' }]);
    const answered = pool.query(query).then(
      () => undefined,
      () => undefined,
    );
    await within(5_000, answered, 'the statement was not answered');
    await within(5_000, pool.end(), 'the pool did not end');
    // A pool connects again after each failure, and each connection may give the password once.
    const asked = server.received().slice(before).split(password).length - 1;
    const connections = server.received().slice(before).split('user\0app').length - 1;
    if (asked > connections) throw new Error(`the password was given ${asked} times in ${connections} connections`);
    random = undefined;
  };
});

/** Says some of it in order, and the rest as it comes. */
async function play(session: FakeSession, random: FuzzRandom): Promise<void> {
  if (random.below(3) > 0) session.send(authenticationOk, ...primaryParameters, backendKey(1), readyForQuery());
  for (let turn = 0; turn < 1 + random.below(6); turn += 1) {
    const bytes = Buffer.concat(random.some(honest, 5).map((part) => changed(part, random)));
    for (let at = 0; at < bytes.length; ) {
      const size = random.pick([1, 3, bytes.length, bytes.length, bytes.length]);
      session.send(bytes.subarray(at, at + size));
      at += size;
      if (random.below(4) === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    if (random.below(3) === 0 && (await session.receive()) === undefined) return;
  }
  if (random.below(2) === 0) session.socket.end();
}

function changed(part: Buffer, random: FuzzRandom): Buffer {
  const copy = Buffer.from(part);
  switch (random.below(12)) {
    case 0:
      copy.writeUInt32BE(random.pick([0, 1, 3, 4, 5, 30_001, 0x7fffffff, 0xffffffff, copy.length]), 1);
      return copy;
    case 1:
      copy[random.below(copy.length)] = random.below(256);
      return copy;
    case 2:
      return copy.subarray(0, random.below(copy.length));
    case 3: {
      // Shorter or longer, with a length that says so.
      const body = Buffer.concat([copy.subarray(5, 5 + random.below(copy.length)), random.bytes(random.below(6))]);
      return message(String.fromCharCode(copy[0] ?? 0), body);
    }
    case 4:
      return random.bytes(random.below(30));
    default:
      return copy;
  }
}

async function within<T>(millis: number, work: Promise<T>, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} within ${millis} ms`)), millis);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
