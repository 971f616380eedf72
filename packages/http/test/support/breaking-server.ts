import { once } from 'node:events';
import net, { type AddressInfo } from 'node:net';

/** Where in an exchange the server breaks the connection. */
export const breakStages = [
  'connected',
  'head read',
  'body half read',
  'request read',
  'response head sent',
  'response half sent',
] as const;

export type BreakStage = (typeof breakStages)[number];

/** A server of plain HTTP/1.1 that reads each request up to a stage, and then breaks its connection. */
export interface BreakingServer {
  readonly port: number;
  /** Start lines of the requests that came, in order. */
  readonly requests: string[];
  connections: number;
  bytes: number;
  close(): Promise<void>;
}

/** @param how `end` closes as usual, `reset` sends a TCP reset */
export async function startBreakingServer(
  address: string,
  stage: BreakStage,
  how: 'end' | 'reset',
): Promise<BreakingServer> {
  const open = new Set<net.Socket>();
  const server = net.createServer((socket) => {
    running.connections += 1;
    open.add(socket);
    socket.on('error', () => {}).on('close', () => open.delete(socket));
    const breakIt = () => (how === 'end' ? socket.destroy() : socket.resetAndDestroy());
    if (stage === 'connected') {
      breakIt();
      return;
    }
    let text = '';
    let noted = false;
    socket.on('data', (chunk: Buffer) => {
      running.bytes += chunk.length;
      text += chunk.toString('latin1');
      const [startLine = ''] = text.split('\r\n');
      if (!noted && startLine.endsWith('HTTP/1.1')) {
        noted = true;
        running.requests.push(startLine.replace(' HTTP/1.1', ''));
      }
      const headEnd = text.indexOf('\r\n\r\n');
      if (headEnd === -1) return;
      if (stage === 'head read') return void breakIt();
      const body = text.slice(headEnd + 4);
      if (stage === 'body half read' && body.length > 0) return void breakIt();
      if (!isWhole(text.slice(0, headEnd), body)) return;
      if (stage === 'request read' || stage === 'body half read') return void breakIt();
      const half = stage === 'response head sent' ? '' : 'hello';
      socket.write(`HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n${half}`, () => setTimeout(breakIt, 50));
    });
  });
  server.listen(0, address);
  await once(server, 'listening');
  const running: BreakingServer = {
    port: (server.address() as AddressInfo).port,
    requests: [],
    connections: 0,
    bytes: 0,
    close: async () => {
      server.close();
      for (const socket of open) socket.destroy();
      if (server.listening) await once(server, 'close');
    },
  };
  return running;
}

function isWhole(head: string, body: string): boolean {
  if (/^transfer-encoding: chunked/im.test(head)) return body.endsWith('0\r\n\r\n');
  return body.length >= Number(/^content-length: (\d+)/im.exec(head)?.[1] ?? 0);
}
