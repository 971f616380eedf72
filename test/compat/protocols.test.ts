import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { rm, writeFile } from 'node:fs/promises';
import https from 'node:https';
import net from 'node:net';
import { join } from 'node:path';
import { connect, connectTls, lazySocket } from '@externalname/core/connect';
import { createAgent } from '@externalname/http/agent';
import grpc from '@grpc/grpc-js';
import { AbstractConnector, Redis } from 'ioredis';
import { connectAsync, MqttClient } from 'mqtt';
import { createPool } from 'mysql2/promise';
import { createTransport } from 'nodemailer';
import { SMTPServer } from 'smtp-server';
import { describe, expect, it, vi } from 'vitest';
import WebSocket, { WebSocketServer } from 'ws';
import {
  hasProgram,
  type ServerPlace,
  type ServiceOfTwo,
  serviceOfTwo,
  startProgram,
} from './support/service-of-two.ts';

const soon = { timeout: 20_000, interval: 100 };

describe('drivers of other protocols, through a switch', () => {
  it.skipIf(!hasProgram('mosquitto'))('mqtt, with mosquitto', async () => {
    await using service = await serviceOfTwo(async (at) => {
      const { address, port, folder } = at;
      const conf = [
        `listener ${port} ${address}`,
        `certfile ${join(folder, 'cert.pem')}`,
        `keyfile ${join(folder, 'key.pem')}`,
        'allow_anonymous true',
        'persistence false',
        'user root',
      ];
      await writeFile(join(folder, 'mosquitto.conf'), conf.join('\n'));
      const end = await startProgram('mosquitto', ['-c', join(folder, 'mosquitto.conf')], at);
      await sayWho(at);
      return end;
    });
    const client = new MqttClient(() => lazySocket({ ...service.options, port: service.port }), {
      reconnectPeriod: 100,
    });
    const heard: string[] = [];
    client.on('error', () => {});
    client.on('message', (_, message) => heard.push(message.toString()));
    client.on('connect', () => client.subscribe('who'));
    await vi.waitFor(() => expect(heard).toEqual(['a.example.com']), soon);
    await service.pointToB();
    await vi.waitFor(() => expect(heard.at(-1)).toBe('b.example.com'), soon);
    await client.endAsync(true);
  });

  it.skipIf(!hasProgram('redis-server'))('ioredis, with redis-server', async () => {
    await using service = await serviceOfTwo(({ address, port, folder, ...rest }) => {
      const file = (name: string) => join(folder, `${name}.pem`);
      const tls = ['--tls-cert-file', file('cert'), '--tls-key-file', file('key'), '--tls-ca-cert-file', file('ca')];
      const where = ['--bind', address, '--port', '0', '--tls-port', String(port), '--dir', folder];
      const options = [...where, ...tls, '--tls-auth-clients', 'no', '--save', ''];
      return startProgram('redis-server', options, { address, port, folder, ...rest });
    });
    class ServiceRedisConnector extends AbstractConnector {
      constructor() {
        super(1_000);
      }

      async connect() {
        this.connecting = true;
        this.stream = await connectTls({ ...service.options, port: service.port });
        return this.stream;
      }
    }
    const redis = new Redis({ Connector: ServiceRedisConnector, retryStrategy: () => 100 });
    redis.on('error', () => {});
    const where = async () => / laddr=([\d.]+):/.exec(String(await redis.call('CLIENT', 'INFO')))?.[1];
    expect(await where()).toBe('127.0.0.71');
    await service.pointToB();
    await vi.waitFor(async () => expect(await where()).toBe('127.0.0.72'), soon);
    redis.disconnect();
  });

  it.skipIf(!hasProgram('mariadbd'))('mysql2, with mariadbd', async () => {
    await using service = await serviceOfTwo(async (at) => {
      const data = join(at.folder, 'data');
      const install = ['--no-defaults', `--datadir=${data}`, '--user=root', '--auth-root-authentication-method=normal'];
      execFileSync('mariadb-install-db', [...install, '--skip-test-db'], { stdio: 'ignore' });
      const options = [
        '--no-defaults',
        `--datadir=${data}`,
        '--user=root',
        `--bind-address=${at.address}`,
        `--port=${at.port}`,
        `--socket=${join(at.folder, 'mysql.sock')}`,
        `--ssl-cert=${join(at.folder, 'cert.pem')}`,
        `--ssl-key=${join(at.folder, 'key.pem')}`,
        '--skip-grant-tables',
        '--skip-name-resolve',
      ];
      return await startProgram('mariadbd', options, at);
    });
    const { tls: _, ...options } = service.options;
    const pool = createPool({
      host: 'both.example.com',
      user: 'root',
      ssl: { ca: service.ca, verifyIdentity: true },
      stream: () => lazySocket({ ...options, port: service.port, tls: false }),
    });
    const where = async () => {
      const [rows] = await pool.query(
        "select @@bind_address as address, variable_value as cipher from information_schema.session_status where variable_name = 'ssl_cipher'",
      );
      return (rows as { address: string; cipher: string }[])[0];
    };
    const first = await where();
    expect(first?.address).toBe('127.0.0.71');
    expect(first?.cipher).not.toBe('');
    await service.pointToB();
    await vi.waitFor(async () => expect((await where())?.address).toBe('127.0.0.72'), soon);
    await pool.end();
  });

  it('nodemailer', async () => {
    const received: string[] = [];
    await using service = await serviceOfTwo(async ({ name, address, port, certificate, privateKey }) => {
      const server = new SMTPServer({
        secure: true,
        cert: certificate,
        key: privateKey,
        authOptional: true,
        onData(stream, _session, callback) {
          stream.resume().on('end', () => {
            received.push(name);
            callback();
          });
        },
      });
      server.on('error', () => {});
      server.listen(port, address);
      await once(server.server, 'listening');
      return () => server.close();
    });
    const transport = createTransport({
      host: 'webscaler-any',
      port: service.port,
      secure: true,
      getSocket(_options: unknown, callback: (error: Error | null, socket?: object) => void) {
        connectTls({ ...service.options, port: service.port }).then(
          (connection) => callback(null, { connection, secured: true }),
          (error: Error) => callback(error),
        );
      },
    } as object);
    const send = () => transport.sendMail({ from: 'a@example.com', to: 'b@example.com', text: 'x' });
    await send();
    expect(received).toEqual(['a.example.com']);
    await service.pointToB();
    await vi.waitFor(async () => {
      await send();
      expect(received.at(-1)).toBe('b.example.com');
    }, soon);
  });

  it('ws', async () => {
    await using service = await serviceOfTwo(async ({ name, address, port, certificate, privateKey }) => {
      const server = https.createServer({ cert: certificate, key: privateKey });
      const sockets = new WebSocketServer({ server });
      sockets.on('connection', (socket, request) => socket.send(`${name} ${request.headers.host}`));
      server.listen(port, address);
      await once(server, 'listening');
      return () => {
        for (const client of sockets.clients) client.terminate();
        server.close();
        server.closeAllConnections();
      };
    });
    await using agent = createAgent(service.options);
    const open = async () => {
      const socket = new WebSocket(`wss://webscaler-any:${service.port}/`, { agent });
      const [greeting] = (await once(socket, 'message')) as [Buffer];
      return { socket, greeting: greeting.toString() };
    };
    const first = await open();
    expect(first.greeting).toBe(`a.example.com a.example.com:${service.port}`);
    await service.pointToB();
    await vi.waitFor(async () => {
      const next = await open();
      next.socket.terminate();
      expect(next.greeting).toBe(`b.example.com b.example.com:${service.port}`);
    }, soon);
    expect(first.socket.readyState).toBe(WebSocket.OPEN);
    first.socket.terminate();
  });

  it('grpc-js, by way of a socket of this machine', async () => {
    await using service = await serviceOfTwo((at) => startGrpc(at));
    await using way = await grpcWay(service);
    const client = new grpc.Client(`unix:${way.path}`, grpc.credentials.createInsecure());
    const ask = () =>
      new Promise<string>((resolve, reject) => {
        const text = (value: Buffer) => value.toString();
        client.makeUnaryRequest(
          '/test.Who/Ask',
          (value: string) => Buffer.from(value),
          text,
          'who?',
          (error, answer) => (error ? reject(error) : resolve(answer ?? '')),
        );
      });
    expect(await ask()).toBe('a.example.com');
    await service.pointToB();
    await vi.waitFor(async () => expect(await ask()).toBe('b.example.com'), soon);
    client.close();
  });

  it('refuses a server that does not prove its name, for each of them', async () => {
    await using service = await serviceOfTwo((at) => startGrpc({ ...at }));
    const { tls: _, ...options } = service.options;
    await expect(connectTls({ ...options, port: service.port })).rejects.toMatchObject({
      code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
      outcome: 'not-executed',
    });
    const socket = await connect({ ...options, port: service.port });
    expect(socket.remoteAddress).toBe('127.0.0.71');
    socket.destroy();
  });
});

/** Leaves a message for its subscribers that says which broker it is. */
async function sayWho({ name, address, port }: ServerPlace): Promise<void> {
  const client = await connectAsync(`mqtts://${address}:${port}`, { rejectUnauthorized: false });
  await client.publishAsync('who', name, { retain: true, qos: 1 });
  await client.endAsync();
}

async function startGrpc({ name, address, port, certificate, privateKey }: ServerPlace): Promise<() => unknown> {
  const server = new grpc.Server();
  const method = {
    path: '/test.Who/Ask',
    requestStream: false,
    responseStream: false,
    requestSerialize: (value: string) => Buffer.from(value),
    requestDeserialize: (value: Buffer) => value.toString(),
    responseSerialize: (value: string) => Buffer.from(value),
    responseDeserialize: (value: Buffer) => value.toString(),
  } as const;
  server.addService({ ask: method }, { ask: (_: unknown, answer: grpc.sendUnaryData<string>) => answer(null, name) });
  const pair = { cert_chain: Buffer.from(certificate), private_key: Buffer.from(privateKey) };
  const credentials = grpc.ServerCredentials.createSsl(null, [pair]);
  await new Promise<void>((resolve, reject) => {
    server.bindAsync(`${address}:${port}`, credentials, (error) => (error ? reject(error) : resolve()));
  });
  return () => server.forceShutdown();
}

/** What grpc-js connects to: it takes no socket, so one of this machine leads to the Service. */
async function grpcWay(service: ServiceOfTwo): Promise<AsyncDisposable & { readonly path: string }> {
  const path = join(service.a.folder, 'grpc.sock');
  const server = net.createServer((near) => {
    near.on('error', () => {});
    connectTls({ ...service.options, port: service.port, tls: { ca: service.ca, ALPNProtocols: ['h2'] } }).then(
      (far) => {
        far.on('error', () => {});
        far.on('close', () => near.destroy());
        near.on('close', () => far.destroy());
        near.pipe(far).pipe(near);
      },
      (error: Error) => near.destroy(error),
    );
  });
  server.listen(path);
  await once(server, 'listening');
  return {
    path,
    async [Symbol.asyncDispose]() {
      server.close();
      await rm(path, { force: true });
    },
  };
}
