import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { reset } from '../src/reset.ts';

describe('a connection that is reset', () => {
  const server = createServer({ allowHalfOpen: true });
  let ours: Socket;
  let theirs: Socket;

  beforeEach(async () => {
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const accepted = once(server, 'connection');
    theirs = connect({ host: '127.0.0.1', port: (server.address() as AddressInfo).port, allowHalfOpen: true });
    [ours] = (await accepted) as [Socket];
  });
  afterEach(async () => {
    theirs.destroy();
    await new Promise((resolve) => server.close(resolve));
  });

  it('tells the other side so', async () => {
    const failure = once(theirs, 'error');
    reset(ours);
    expect((await failure)[0]).toMatchObject({ code: 'ECONNRESET' });
  });

  it('is closed although its end is just being sent, when a socket cannot be reset', async () => {
    const failures: Error[] = [];
    ours.on('error', (error) => failures.push(error));
    const closed = once(ours, 'close');
    ours.end('the last bytes');
    reset(ours);
    await closed;
    expect(failures).toEqual([]);
  });

  it('is closed although its end was sent', async () => {
    theirs.resume();
    await once(ours.end(), 'finish');
    const closed = once(ours, 'close');
    reset(ours);
    await closed;
  });
});
