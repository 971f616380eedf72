/**
 * The DNS server of the benchmark, a process of its own so that it does not share the event loop of what is measured. Answers every name
 * as a Service: an alias to one fixed target and an address for it. Names that begin with `nx` or whose label count says that a search list
 * completed them wrongly do not exist.
 *
 * node dns-server.ts <address> <port> <delay in ms>; prints its port, then answers `count` on stdin with the number of queries so far.
 */
import { createSocket } from 'node:dgram';
import { createInterface } from 'node:readline';

const [address = '127.0.0.1', port = '0', delay = '0'] = process.argv.slice(2);
const delayMillis = Number(delay);
const target = 'primary-db.example.com';
const known = new Set([target, 'webscaler-db.default.svc.cluster.local']);
let queries = 0;

const socket = createSocket('udp4');
socket.on('message', (query, from) => {
  queries++;
  const reply = answer(query);
  const send = () => socket.send(reply, from.port, from.address);
  if (delayMillis > 0) setTimeout(send, delayMillis);
  else send();
});
socket.bind(Number(port), address, () => console.log(socket.address().port));

createInterface({ input: process.stdin })
  .on('line', () => console.log(queries))
  .on('close', () => process.exit());

function answer(query: Buffer): Buffer {
  const labels: string[] = [];
  let at = 12;
  for (let length = query[at] ?? 0; length !== 0; length = query[at] ?? 0) {
    labels.push(query.toString('latin1', at + 1, at + 1 + length).toLowerCase());
    at += length + 1;
  }
  const type = query.readUInt16BE(at + 1);
  const question = query.subarray(12, at + 5);
  const name = labels.join('.');
  const exists = known.has(name) || /^n\d+\.default\.svc\.cluster\.local$/.test(name);
  const answers: Buffer[] = [];
  let owner: Buffer = Buffer.from([0xc0, 12]);
  if (exists && name !== target) {
    answers.push(record(owner, 5, encodeName(target)));
    owner = encodeName(target);
  }
  if (exists && type === 1) answers.push(record(owner, 1, Buffer.from([192, 0, 2, 10])));
  const soa = Buffer.concat([encodeName('ns'), encodeName('admin'), Buffer.alloc(16), Buffer.from([0, 0, 0, 30])]);
  const authority = exists && type !== 28 ? [] : [record(zoneOf(exists ? target : name), 6, soa)];
  const header = Buffer.alloc(12);
  query.copy(header, 0, 0, 2);
  header.writeUInt16BE(0x8180 | (exists ? 0 : 3), 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(answers.length, 6);
  header.writeUInt16BE(authority.length, 8);
  return Buffer.concat([header, question, ...answers, ...authority]);
}

function record(owner: Buffer, type: number, data: Buffer): Buffer {
  const fixed = Buffer.alloc(10);
  fixed.writeUInt16BE(type, 0);
  fixed.writeUInt16BE(1, 2);
  fixed.writeUInt32BE(30, 4);
  fixed.writeUInt16BE(data.length, 8);
  return Buffer.concat([owner, fixed, data]);
}

function zoneOf(name: string): Buffer {
  return encodeName(name.split('.').slice(-2).join('.'));
}

function encodeName(name: string): Buffer {
  const parts = name.split('.').map((label) => Buffer.concat([Buffer.from([label.length]), Buffer.from(label)]));
  return Buffer.concat([...parts, Buffer.from([0])]);
}
