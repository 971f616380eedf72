import { LocalCluster, PostgresPair, type PostgresPairOptions } from '@externalname/testing';
import {
  Pool,
  type PoolOptions,
  type SwitchEvent,
  switched,
  type TargetRefusedEvent,
  targetNotFollowed,
} from '../../src/index.ts';
import { sharingOfAll } from './sharing-of-all.ts';

/** The scenario's cluster and databases, and pools that are closed with them. */
export interface Webscaler extends AsyncDisposable {
  readonly pair: PostgresPair;
  readonly cluster: LocalCluster;
  /** Options that make a pool for `webscaler-db`. */
  options(overrides?: PoolOptions): PoolOptions;
  /** Options for the primary as a plain host, which `pg` takes as well. */
  plainOptions(overrides?: PoolOptions): PoolOptions;
  pool(overrides?: PoolOptions): Pool;
  /** Runs a statement in the application's database, beside the pools that are tested. */
  inDatabase(text: string): Promise<Record<string, unknown>[]>;
  /** The scenario's patch. */
  point(externalName: string): Promise<void>;
  /** Ends the pools made so far. */
  endPools(): Promise<void>;
}

/** Starts both, with answers that live for one second, so that a switch is seen soon. */
export async function startWebscaler(options: PostgresPairOptions = {}): Promise<Webscaler> {
  const pair = await PostgresPair.start(options);
  return webscalerOn(pair, () => pair.close());
}

/**
 * The same, for tests that leave roles, parameters and servers as they are. Files that run in one process have one pair, which ends with the
 * process; what they make in the database is dropped at their end.
 */
export async function startSharedWebscaler(): Promise<Webscaler> {
  sharedPair ??= PostgresPair.start();
  const pair = await sharedPair;
  return webscalerOn(pair, async () => {
    await pair.primary.query(dropAll, [], { database: pair.database });
  });
}

let sharedPair: Promise<PostgresPair> | undefined;

// All that a test makes in the schema of the application.
const dropAll = `do $$ declare each record; begin
  for each in
    select format('drop table if exists public.%I cascade', relname) as statement from pg_class
      where relnamespace = 'public'::regnamespace and relkind in ('r', 'p')
    union all select format('drop sequence if exists public.%I cascade', relname) from pg_class
      where relnamespace = 'public'::regnamespace and relkind = 'S'
    union all select format('drop routine if exists %s cascade', oid::regprocedure) from pg_proc
      where pronamespace = 'public'::regnamespace
  loop execute each.statement; end loop;
end $$`;

async function webscalerOn(pair: PostgresPair, release: () => Promise<void>): Promise<Webscaler> {
  const cluster = await LocalCluster.start({
    ttlSeconds: 1,
    services: [
      {
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name: 'webscaler-db', namespace: 'default' },
        spec: { type: 'ExternalName', externalName: 'primary-db.example.com' },
      },
    ],
    hosts: Object.fromEntries(Object.entries(pair.addresses).map(([name, address]) => [name, [address]])),
  });
  const pools: Pool[] = [];
  const webscaler: Webscaler = {
    pair,
    cluster,
    options: (overrides = {}) => ({
      ...sharingOfAll,
      service: 'webscaler-db',
      allowedTargets: ['primary-db.example.com', 'secondary-db.example.com'],
      allowedNetworks: ['127.0.0.0/8'],
      dns: { nameservers: [cluster.nameserver] },
      port: pair.port,
      user: pair.user,
      password: pair.password,
      database: pair.database,
      ssl: { ca: pair.ca },
      ...overrides,
    }),
    plainOptions: (overrides = {}) => ({
      ...sharingOfAll,
      host: pair.primary.address,
      port: pair.port,
      user: pair.user,
      password: pair.password,
      database: pair.database,
      ssl: { ca: pair.ca, servername: 'primary-db.example.com' },
      ...overrides,
    }),
    pool(overrides) {
      const pool = new Pool(webscaler.options(overrides));
      pools.push(pool);
      return pool;
    },
    async inDatabase(text) {
      await using pool = new Pool(webscaler.options({ max: 1 }));
      return (await pool.query<Record<string, unknown>>(text)).rows;
    },
    async point(externalName) {
      await cluster.services.patch('default', 'webscaler-db', [
        { op: 'replace', path: '/spec/externalName', value: externalName },
      ]);
    },
    async endPools() {
      await Promise.all(pools.splice(0).map((pool) => (pool.ending ? undefined : pool.end())));
    },
    async [Symbol.asyncDispose]() {
      await webscaler.endPools();
      await cluster.close();
      await release();
    },
  };
  return webscaler;
}

/** The next switch of any pool of this process. To be asked for before it can come. */
export function nextSwitch(): Promise<SwitchEvent> {
  return new Promise((resolve) => {
    const stop = switched.subscribe((event) => {
      stop();
      resolve(event);
    });
  });
}

/** The next time that a pool of this process does not follow a target. To be asked for before it can come. */
export function nextRefusal(): Promise<TargetRefusedEvent> {
  return new Promise((resolve) => {
    const stop = targetNotFollowed.subscribe((event) => {
      stop();
      resolve(event);
    });
  });
}
