import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { connect } from 'node:net';
import {
  decode,
  encode,
  type Packet,
  RECURSION_DESIRED,
  type RecordType,
  streamDecode,
  streamEncode,
} from 'dns-packet';

/** One question by UDP, sent as it is; undefined where no answer came in time. */
export function ask(server: string, name: string, type: string, timeoutMillis = 2_000): Promise<Packet | undefined> {
  const [host = '', port = '53'] = server.split(':');
  const id = randomInt(65_536);
  const query = encode({
    type: 'query',
    id,
    flags: RECURSION_DESIRED,
    questions: [{ type: type as RecordType, name: name.replace(/\.$/, '') }],
  });
  return new Promise((resolve) => {
    const socket = createSocket('udp4');
    const end = (packet?: Packet) => {
      clearTimeout(timer);
      socket.close();
      resolve(packet);
    };
    const timer = setTimeout(end, timeoutMillis);
    socket.on('error', () => end());
    socket.on('message', (message) => {
      const packet = decode(message);
      if (packet.id === id) end(packet);
    });
    socket.send(query, Number(port), host, (error) => {
      if (error) end();
    });
  });
}

/** All records of a zone (RFC 5936), over TCP. */
export function transfer(server: string, zone: string): Promise<NonNullable<Packet['answers']>> {
  const [host = '', port = '53'] = server.split(':');
  const query = streamEncode({
    type: 'query',
    id: randomInt(65_536),
    questions: [{ type: 'AXFR' as RecordType, name: zone.replace(/\.$/, '') }],
  });
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), host, () => socket.write(query));
    const records: NonNullable<Packet['answers']> = [];
    let rest = Buffer.alloc(0);
    socket.setTimeout(10_000, () => socket.destroy(new Error('the transfer did not end')));
    socket.on('error', reject);
    socket.on('data', (chunk) => {
      rest = Buffer.concat([rest, chunk]);
      while (rest.length >= 2 && rest.length >= rest.readUInt16BE(0) + 2) {
        const length = rest.readUInt16BE(0) + 2;
        records.push(...(streamDecode(rest.subarray(0, length))?.answers ?? []));
        rest = rest.subarray(length);
      }
      // It begins and ends with the SOA.
      if (records.filter(({ type }) => type === 'SOA').length >= 2) {
        socket.destroy();
        resolve(records);
      }
    });
  });
}
