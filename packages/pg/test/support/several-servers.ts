import { type Resolver, StaticTargetSource } from '@externalname/core';
import type { Pool, PoolOptions } from '../../src/index.ts';
import { errorResponse, type FakePostgres, type FakeSession, obliging, startFakePostgres } from './fake-postgres.ts';

const servers = new Map<string, FakePostgres>();
let port: number | undefined;

/** For `afterEach`: closes all servers. */
export async function closeServers(): Promise<void> {
  await Promise.all([...servers.values()].map((server) => server[Symbol.asyncDispose]()));
  servers.clear();
  port = undefined;
}

/** Several servers on one port, each with an address of its own. Counts the statements of each. */
export function severalServers() {
  /** The statements that each server has got from callers. */
  const counts: Record<string, number> = {};
  const refusing = new Set<string>();
  const listed: string[] = [];
  const script = (address: string) => {
    const serve = obliging((text) => {
      if (text !== '' && !text.includes('pg_backend_pid')) counts[address] = (counts[address] ?? 0) + 1;
      return /^(select )?hang$/.test(text) ? new Promise<undefined>(() => undefined) : undefined;
    });
    return (session: FakeSession) => {
      if (!refusing.has(address)) return serve(session);
      session.send(errorResponse('57P03', 'FATAL'));
      session.socket.end();
    };
  };
  const up = async (address: string) => {
    refusing.delete(address);
    if (!listed.includes(address)) listed.push(address);
    if (servers.has(address)) return;
    const server = await startFakePostgres({ address, port, script: script(address) });
    port = server.port;
    servers.set(address, server);
  };
  const down = async (address: string) => {
    refusing.add(address);
    for (const { socket } of servers.get(address)?.sessions ?? []) socket.destroy();
  };
  const options = (overrides: PoolOptions): PoolOptions => {
    const [first] = servers.values();
    if (first === undefined) throw new Error('no server');
    return first.options({ dns: namesOf(listed), retireOnAddressChange: false, ...overrides });
  };
  const open = () =>
    Object.fromEntries([...servers].map(([address, { sessions }]) => [address, sessions.filter(isOpen).length]));
  const run = async (pool: Pick<Pool, 'query'>, queries: number, workers = 1) => {
    for (const address of Object.keys(counts)) counts[address] = 0;
    let left = queries;
    const work = async () => {
      while (left-- > 0) await pool.query({ text: 'select 1', idempotent: true });
    };
    await Promise.all(Array.from({ length: workers }, work));
    return { ...counts };
  };
  /** One of the servers as a Service of its own. */
  const service = (address: string) => {
    const number = address.split('.')[3];
    return { name: `service-${number}`, source: new StaticTargetSource(`host-${number}.example.com`) };
  };
  return { counts, up, down, options, open, run, service };
}

const isOpen = ({ socket }: FakeSession) => !socket.destroyed && !socket.readableEnded;

function namesOf(addresses: readonly string[]): Resolver {
  return {
    resolve: async (name) => ({
      name,
      chain: [],
      canonicalName: name,
      addresses: addressesOf(name, addresses).map((address) => ({ address, family: 4, ttlSeconds: 1 })),
      expiresAt: Number.POSITIVE_INFINITY,
      stale: false,
    }),
    close: async () => undefined,
    [Symbol.asyncDispose]: async () => undefined,
  };
}

// `host-2.example.com` has one of them, every other name has all.
function addressesOf(name: string, addresses: readonly string[]): readonly string[] {
  const number = /^host-(\d+)\./.exec(name)?.[1];
  return number === undefined ? addresses : [`127.0.0.${number}`];
}
