// What the pages take as given. Names of values only: what a page takes from a package, it imports.
import type { Socket } from 'node:net';
import type { DnsResolver, Endpoint } from '@externalname/core';
import type { Pool, PoolOptions } from '@externalname/pg';
import type { LocalCluster, PostgresPair } from '@externalname/testing';

declare global {
  // An application.
  const ca: string;
  const password: string;
  const secret: string;
  const id: string;
  const amount: number;
  const customer: string;
  const queue: { id: string; amount: number }[];
  const review: { id: string; amount: number }[];
  function page(message: string): void;
  function handle(row: unknown): Promise<void>;

  // A web server, as Express makes one.
  const app: {
    use(handler: unknown): void;
    get(path: string, handler: (request: unknown, response: { end(text: string): void }) => unknown): void;
  };

  // What an earlier block of the page has made.
  const pool: Pool;
  const options: PoolOptions;
  const cluster: LocalCluster;
  const pair: PostgresPair;
  const resolver: DnsResolver;
  const endpoints: readonly Endpoint[];
  function connect(endpoint: Endpoint): Promise<Socket>;
}
