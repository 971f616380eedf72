import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket as TcpSocket } from 'node:net';
import { type Answer, decode, encode, TRUNCATED_RESPONSE } from 'dns-packet';

/** A query as it reached the server. */
export interface ReceivedQuery {
  readonly id: number;
  readonly name: string;
  readonly type: string;
  readonly protocol: 'udp' | 'tcp';
  /** Whether it came with EDNS0. */
  readonly edns0: boolean;
  /** The address it came from. */
  readonly address: string;
  /** The port it came from. */
  readonly port: number;
  /** Sends these bytes back at once, whatever the script goes on to answer. */
  readonly send: (bytes: Buffer) => void;
  readonly bytes: Buffer;
}

/** What to answer. Everything left out is as an honest server would have it. */
export interface ScriptedReply {
  readonly rcode?: number;
  readonly answers?: readonly Answer[];
  readonly authority?: readonly Answer[];
  readonly additional?: readonly Answer[];
  readonly truncated?: boolean;
  readonly id?: number;
  /** Another question than the one that was asked; `null` leaves it out. */
  readonly question?: { readonly name: string; readonly type: string } | null;
  readonly delayMillis?: number;
}

/** Decides what to answer; `undefined` is silence. */
export type Script = (query: ReceivedQuery) => ScriptedReply | undefined | Promise<ScriptedReply | undefined>;

/** A DNS server on a loopback address and a port of its own, over UDP and TCP, that does as it is told. */
export class ScriptedDnsServer {
  readonly queries: ReceivedQuery[] = [];
  script: Script;
  readonly #udp: Socket;
  readonly #tcp: Server;
  readonly #connections = new Set<TcpSocket>();
  readonly #address: string;
  #closed = false;

  private constructor(script: Script, udp: Socket, tcp: Server, address: string) {
    this.script = script;
    this.#udp = udp;
    this.#tcp = tcp;
    this.#address = address;
    udp.on('message', (bytes, from) => {
      this.#receive(bytes, 'udp', from, (reply) => {
        if (!this.#closed) udp.send(reply, from.port, from.address);
      });
    });
    tcp.on('connection', (socket) => this.#serve(socket));
  }

  static async start(script: Script, address = '127.0.0.1'): Promise<ScriptedDnsServer> {
    // A port that is free for UDP may be taken for TCP: try until one is free for both.
    for (;;) {
      const udp = createSocket(address.includes(':') ? 'udp6' : 'udp4');
      udp.bind(0, address);
      await once(udp, 'listening');
      const tcp = createServer();
      tcp.listen(udp.address().port, address);
      try {
        await once(tcp, 'listening');
        return new ScriptedDnsServer(script, udp, tcp, address);
      } catch {
        udp.close();
      }
    }
  }

  get port(): number {
    return (this.#tcp.address() as AddressInfo).port;
  }

  /** In the form that `nameservers` takes. */
  get text(): string {
    return this.#address.includes(':') ? `[${this.#address}]:${this.port}` : `${this.#address}:${this.port}`;
  }

  /** `A webscaler-db.default.svc.cluster.local`, one entry a query, in the order of their arrival. */
  get asked(): string[] {
    return this.queries.map(({ type, name }) => `${type} ${name}`);
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const socket of this.#connections) socket.destroy();
    this.#udp.close();
    this.#tcp.close();
    await once(this.#tcp, 'close');
  }

  #serve(socket: TcpSocket): void {
    this.#connections.add(socket);
    socket.on('close', () => this.#connections.delete(socket));
    socket.on('error', () => socket.destroy());
    let pending: Buffer = Buffer.alloc(0);
    socket.on('data', (bytes) => {
      pending = Buffer.concat([pending, bytes]);
      if (pending.length < 2 || pending.length < 2 + pending.readUInt16BE(0)) return;
      const query = pending.subarray(2, 2 + pending.readUInt16BE(0));
      pending = pending.subarray(2 + query.length);
      const from = { address: socket.remoteAddress ?? '', port: socket.remotePort ?? 0 };
      this.#receive(query, 'tcp', from, (reply) => {
        const length = Buffer.alloc(2);
        length.writeUInt16BE(reply.length);
        if (socket.writable) socket.write(Buffer.concat([length, reply]));
      });
    });
  }

  #receive(
    bytes: Buffer,
    protocol: 'udp' | 'tcp',
    { address, port }: { readonly address: string; readonly port: number },
    send: (reply: Buffer) => void,
  ): void {
    const { id = 0, questions = [], additionals = [] } = decode(bytes);
    const { name = '', type = '' } = questions[0] ?? {};
    const edns0 = additionals.some((record) => record.type === 'OPT');
    const query: ReceivedQuery = { id, name, type, protocol, edns0, address, port, send, bytes };
    this.queries.push(query);
    Promise.resolve(this.script(query))
      .then((reply) => {
        if (reply === undefined) return;
        if (reply.delayMillis === undefined) send(encodeReply(query, reply));
        else setTimeout(() => send(encodeReply(query, reply)), reply.delayMillis);
      })
      .catch((error: unknown) => {
        throw error; // A script that throws is a defect of the test: let it fail loudly.
      });
  }
}

/** The bytes of a reply to a query. */
export function encodeReply(query: Pick<ReceivedQuery, 'id' | 'name' | 'type'>, reply: ScriptedReply): Buffer {
  const question = reply.question === undefined ? { name: query.name, type: query.type } : reply.question;
  return encode({
    type: 'response',
    id: reply.id ?? query.id,
    flags: (reply.rcode ?? 0) | (reply.truncated === true ? TRUNCATED_RESPONSE : 0) | 0x180,
    questions: question === null ? [] : [question as { name: string; type: 'A' }],
    answers: [...(reply.answers ?? [])],
    authorities: [...(reply.authority ?? [])],
    additionals: [...(reply.additional ?? [])],
  });
}

export const a = (name: string, address: string, ttl = 30): Answer => ({ type: 'A', name, ttl, data: address });
export const aaaa = (name: string, address: string, ttl = 30): Answer => ({ type: 'AAAA', name, ttl, data: address });
export const cname = (name: string, target: string, ttl = 30): Answer => ({ type: 'CNAME', name, ttl, data: target });
export const soa = (zone: string, minimum = 30): Answer => ({
  type: 'SOA',
  name: zone,
  ttl: minimum,
  data: { mname: `ns.${zone}`, rname: `admin.${zone}`, serial: 1, refresh: 7200, retry: 1800, expire: 86_400, minimum },
});

export const rcodes = { formerr: 1, servfail: 2, nxdomain: 3, notimp: 4, refused: 5 } as const;

/** Records by `TYPE name`, answered as CoreDNS does: aliases are followed, the alias alone where they lead out of the records. */
export function zoneScript(records: readonly Answer[], zones: readonly string[] = ['cluster.local']): Script {
  return ({ name, type }) => {
    const answers: Answer[] = [];
    let current = name.toLowerCase();
    for (let hops = 0; hops < 12; hops++) {
      const alias = records.find((record) => record.type === 'CNAME' && record.name === current);
      if (alias === undefined || !('data' in alias)) break;
      answers.push(alias);
      current = alias.data as string;
      if (type === 'CNAME') break;
    }
    const found = records.filter((record) => record.name === current && record.type === type && type !== 'CNAME');
    answers.push(...found);
    if (answers.length > 0) return { answers };
    const zone = zones.find((domain) => current === domain || current.endsWith(`.${domain}`));
    const authority = zone === undefined ? [] : [soa(zone)];
    return records.some((record) => record.name === current) ? { authority } : { rcode: rcodes.nxdomain, authority };
  };
}
