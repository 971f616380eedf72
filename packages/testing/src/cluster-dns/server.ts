import { createSocket, type RemoteInfo, type Socket as UdpSocket } from 'node:dgram';
import { once, setMaxListeners } from 'node:events';
import { createServer, isIPv6, type Server, type Socket } from 'node:net';
import type { Clock } from '@externalname/core';
import type { ClusterDns } from './cluster-dns.ts';
import { type DnsAnswer, emptyAnswer } from './message.ts';
import { type DnsRequest, decodeRequest, encodeAnswer } from './wire.ts';

/** One question that the cluster's DNS was asked. */
export interface DnsQuery {
  /** The name in lower case, without the trailing dot. */
  readonly name: string;
  /** `A`, `AAAA`, `CNAME`, ... */
  readonly type: string;
  /** How it was asked. */
  readonly transport: 'udp' | 'tcp';
  /** When it arrived, in milliseconds of the cluster clock's `now()`. */
  readonly at: number;
}

/** Where a {@link DnsServer} listens. */
export interface DnsServerOptions {
  /** Loopback address. */
  readonly address: string;
  /** 0 picks a free port, the same for UDP and TCP. */
  readonly port: number;
  readonly dns: ClusterDns;
  readonly clock: Clock;
}

/** Serves a {@link ClusterDns} over UDP and TCP on one port (RFC 1035 section 4.2, RFC 7766). */
export class DnsServer {
  readonly address: string;
  readonly port: number;
  /** The questions so far, oldest first. */
  readonly queries: DnsQuery[] = [];
  readonly #dns: ClusterDns;
  readonly #clock: Clock;
  readonly #udp: UdpSocket;
  readonly #tcp: Server;
  readonly #connections = new Set<Socket>();
  readonly #closing = new AbortController();
  #closed: Promise<void> | undefined;

  static async listen(options: DnsServerOptions): Promise<DnsServer> {
    const { udp, tcp, port } = await bindBoth(options.address, options.port);
    return new DnsServer(options, udp, tcp, port);
  }

  private constructor(options: DnsServerOptions, udp: UdpSocket, tcp: Server, port: number) {
    this.address = options.address;
    this.port = port;
    this.#dns = options.dns;
    this.#clock = options.clock;
    this.#udp = udp;
    this.#tcp = tcp;
    // Each slow answer listens to it.
    setMaxListeners(0, this.#closing.signal);
    udp.on('message', (bytes, client) => this.#overUdp(bytes, client));
    // If a client is gone, the next send fails (ECONNREFUSED). The server can ignore that.
    udp.on('error', () => {});
    tcp.on('connection', (connection) => this.#overTcp(connection));
  }

  /** Answers nothing more and frees the port. Idempotent. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    this.#closing.abort(new Error('the DNS server closed'));
    for (const connection of this.#connections) connection.destroy();
    await Promise.all([
      new Promise<void>((resolve) => this.#udp.close(() => resolve())),
      new Promise<void>((resolve) => this.#tcp.close(() => resolve())),
    ]);
  }

  #overUdp(bytes: Buffer, client: RemoteInfo): void {
    const request = decodeRequest(bytes);
    if (request === undefined) return;
    // RFC 6891 section 6.2.3: less than 512 counts as 512.
    const size = Math.max(plainUdpSize, request.edns?.payloadSize ?? 0);
    this.#respond(request, 'udp', size, (reply) => {
      this.#udp.send(reply, client.port, client.address, () => {});
    });
  }

  #overTcp(connection: Socket): void {
    this.#connections.add(connection);
    connection.setTimeout(idleTcpMillis, () => connection.destroy());
    connection.on('close', () => this.#connections.delete(connection));
    connection.on('error', () => connection.destroy());
    let received = Buffer.alloc(0);
    connection.on('data', (chunk) => {
      received = Buffer.concat([received, chunk]);
      while (received.length >= 2) {
        const end = 2 + received.readUInt16BE(0);
        if (received.length < end) return;
        const request = decodeRequest(received.subarray(2, end));
        received = received.subarray(end);
        if (request === undefined) {
          connection.destroy();
          return;
        }
        this.#respond(request, 'tcp', 65_535, (reply) => {
          if (connection.destroyed) return;
          const length = Buffer.alloc(2);
          length.writeUInt16BE(reply.length);
          connection.write(Buffer.concat([length, reply]));
        });
      }
    });
  }

  #respond(request: DnsRequest, transport: 'udp' | 'tcp', size: number, send: (reply: Buffer) => void): void {
    this.#answer(request, transport).then(
      (answer) => {
        if (answer === undefined || this.#closing.signal.aborted) return;
        const reply = encodeAnswer(request, answer, size);
        if (reply !== undefined) send(reply);
      },
      () => {
        if (this.#closing.signal.aborted) return;
        const reply = encodeAnswer(request, emptyAnswer('SERVFAIL'), size);
        if (reply !== undefined) send(reply);
      },
    );
  }

  async #answer(request: DnsRequest, transport: 'udp' | 'tcp'): Promise<DnsAnswer | undefined> {
    const { question } = request;
    if (request.opcode !== 'QUERY') return emptyAnswer('NOTIMP');
    if (question === undefined) return emptyAnswer('FORMERR');
    if (question.class !== 'IN') return emptyAnswer('REFUSED');
    this.queries.push({
      name: question.name.slice(0, -1).toLowerCase(),
      type: question.type,
      transport,
      at: this.#clock.now(),
    });
    const variant = `${request.edns?.dnssecOk === true} ${request.checkingDisabled}`;
    return this.#dns.answer(question, { transport, variant, signal: this.#closing.signal });
  }
}

async function bindBoth(address: string, port: number): Promise<{ udp: UdpSocket; tcp: Server; port: number }> {
  for (let attempt = 1; ; attempt += 1) {
    const udp = createSocket(isIPv6(address) ? 'udp6' : 'udp4');
    const tcp = createServer();
    try {
      await once(udp.bind({ address, port, exclusive: true }), 'listening');
      const bound = udp.address().port;
      await once(tcp.listen({ host: address, port: bound, exclusive: true }), 'listening');
      return { udp, tcp, port: bound };
    } catch (error) {
      udp.close();
      tcp.close();
      // A port that is free for UDP may be taken for TCP.
      const taken = (error as NodeJS.ErrnoException).code === 'EADDRINUSE';
      if (port !== 0 || !taken || attempt === bindAttempts) throw error;
    }
  }
}

// RFC 1035 section 4.2.1.
const plainUdpSize = 512;

// RFC 7766 section 6.2.3 asks for a few seconds.
const idleTcpMillis = 10_000;

const bindAttempts = 20;
