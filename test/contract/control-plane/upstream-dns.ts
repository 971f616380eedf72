import { createSocket, type Socket } from 'node:dgram';
import {
  type Answer,
  AUTHORITATIVE_ANSWER,
  decode,
  encode,
  type Packet,
  type RecordType,
  TRUNCATED_RESPONSE,
} from 'dns-packet';

/** What it says to one question; the tables write names with a dot at their end. */
export interface UpstreamAnswer {
  readonly rcode: string;
  readonly answer: readonly { name: string; type: string; ttl: number; data: string }[];
  readonly tc?: boolean;
}

/** The DNS outside the cluster, as a table writes it: `<name>./<type>`. What is not in the table does not exist. */
export class UpstreamDns {
  readonly #socket: Socket;
  answers: Readonly<Record<string, UpstreamAnswer>> = {};

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('message', (message, from) => {
      const reply = this.#reply(decode(message));
      socket.send(reply, from.port, from.address);
    });
  }

  static start(): Promise<UpstreamDns> {
    const socket = createSocket('udp4');
    return new Promise((resolve, reject) => {
      socket.once('error', reject);
      socket.bind(0, '127.0.0.1', () => resolve(new UpstreamDns(socket)));
    });
  }

  get server(): string {
    return `127.0.0.1:${this.#socket.address().port}`;
  }

  stop(): Promise<void> {
    return new Promise((resolve) => this.#socket.close(() => resolve()));
  }

  #reply(query: Packet): Buffer {
    const question = query.questions?.[0];
    const known = question && this.answers[`${question.name.toLowerCase()}./${question.type}`];
    const answers = (known?.answer ?? []).map(({ name, type, ttl, data }) => ({
      name: name.replace(/\.$/, ''),
      type: type as RecordType,
      ttl,
      data: type === 'CNAME' ? data.replace(/\.$/, '') : data,
    })) as Answer[];
    const rcode = rcodes[known?.rcode ?? 'NXDOMAIN'] ?? 2;
    return encode({
      type: 'response',
      id: query.id ?? 0,
      // dns-packet writes the response code into the flags' lowest bits.
      flags: AUTHORITATIVE_ANSWER | (known?.tc ? TRUNCATED_RESPONSE : 0) | rcode,
      questions: query.questions ?? [],
      answers,
    });
  }
}

const rcodes: Record<string, number> = { NOERROR: 0, SERVFAIL: 2, NXDOMAIN: 3, REFUSED: 5 };
