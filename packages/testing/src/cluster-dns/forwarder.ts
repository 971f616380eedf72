import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { connect, isIPv6 } from 'node:net';
import { DeadlineError } from '@externalname/core';
import { onAbort, parseServerAddress, withDeadline } from '@externalname/core/internal';
import { type DnsAnswer, type DnsQuestion, emptyAnswer } from './message.ts';
import { decodeAnswer, encodeRequest } from './wire.ts';

/**
 * Asks a real DNS server over the transport that the client used: a truncated answer goes back as it is, and the client
 * asks again over TCP. If the server does not answer in time, the answer is SERVFAIL. CoreDNS's `forward` plugin does the same.
 *
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT` if `server` is not an `address:port`.
 */
export function forwardTo(
  server: string,
  timeoutMillis: number,
): (question: DnsQuestion, context: { signal: AbortSignal; transport: 'udp' | 'tcp' }) => Promise<DnsAnswer> {
  const { address, port } = parseServerAddress(server, 'dns.forward');
  return async (question, { signal, transport }) => {
    const ask = (work: (id: number, signal: AbortSignal) => Promise<Buffer>) =>
      withDeadline(
        async (inner) => {
          const id = randomInt(0x1_0000);
          const reply = decodeAnswer(await work(id, inner));
          if (reply === undefined || reply.id !== id) throw new Error('the answer is not for this question');
          return reply.answer;
        },
        { signal, timeoutMillis, onTimeout: () => new DeadlineError(`asking ${server}`, timeoutMillis) },
      );
    try {
      const over = transport === 'udp' ? overUdp : overTcp;
      return await ask((id, inner) => over(encodeRequest(id, question), address, port, inner));
    } catch (error) {
      if (signal.aborted) throw error;
      return emptyAnswer('SERVFAIL');
    }
  };
}

function overUdp(request: Buffer, address: string, port: number, signal: AbortSignal): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = createSocket(isIPv6(address) ? 'udp6' : 'udp4');
    const finish = (settle: () => void) => {
      stopListening();
      socket.removeAllListeners();
      socket.on('error', () => {});
      socket.close();
      settle();
    };
    const stopListening = onAbort(signal, () => finish(() => reject(signal.reason)));
    socket.once('error', (error) => finish(() => reject(error)));
    socket.once('message', (message) => finish(() => resolve(message)));
    // Connected, so that only this server's packets are taken.
    socket.connect(port, address, () => socket.send(request));
  });
}

function overTcp(request: Buffer, address: string, port: number, signal: AbortSignal): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: address, port });
    const finish = (settle: () => void) => {
      stopListening();
      socket.destroy();
      settle();
    };
    const stopListening = onAbort(signal, () => finish(() => reject(signal.reason)));
    socket.on('error', (error) => finish(() => reject(error)));
    socket.on('close', () => finish(() => reject(new Error('the server closed the connection without an answer'))));
    let received = Buffer.alloc(0);
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk]);
      if (received.length < 2 || received.length < 2 + received.readUInt16BE(0)) return;
      const message = received.subarray(2, 2 + received.readUInt16BE(0));
      finish(() => resolve(message));
    });
    const length = Buffer.alloc(2);
    length.writeUInt16BE(request.length);
    socket.write(Buffer.concat([length, request]));
  });
}
