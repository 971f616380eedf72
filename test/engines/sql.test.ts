import { auroraEngine, engineSource, type HaEngine, sqlEngine } from '@externalname/engines';
import { Pool } from '@externalname/pg';
import { LocalCluster, PostgresPair } from '@externalname/testing';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { until } from './support/programs.ts';

/** The functions of Aurora, by their documented signatures, reading a table that the test writes. */
const auroraFunctions = `
  create table topology (server_id text, session_id text, last_update_timestamp timestamptz);
  create function aurora_replica_status() returns table (server_id text, session_id text, durable_lsn bigint, highest_lsn_rcvd bigint,
    current_read_lsn bigint, cur_replay_latency_in_usec double precision, active_txns integer, is_current boolean,
    last_transport_error integer, last_error_timestamp timestamptz, last_update_timestamp timestamptz, feedback_xmin xid,
    feedback_epoch integer, replica_lag_in_msec double precision, log_stream_speed_in_kib_per_second double precision,
    log_buffer_sequence_number integer, oldest_read_view_trx_id integer, oldest_read_view_lsn bigint, pending_read_ios integer,
    read_ios integer, iops integer, cpu double precision) language sql as
    'select server_id, session_id, null::bigint, null::bigint, null::bigint, null::float8, null::int, true, 0, null::timestamptz,
     last_update_timestamp, null::xid, null::int, null::float8, null::float8, null::int, null::int, null::bigint, null::int, null::int,
     null::int, null::float8 from topology';
  create schema rds_tools;
  create table rds_tools.members (id text, endpoint text, port integer, leads boolean);
  create function rds_tools.show_topology(client_info text default null) returns table (id text, endpoint text, port integer) language sql as
    'select id, endpoint, port from rds_tools.members';
  create function rds_tools.multi_az_db_cluster_source_dbi_resource_id() returns
    table (multi_az_db_cluster_source_dbi_resource_id text) language sql as 'select id from rds_tools.members where leads';`;

describe('engines that are asked by SQL, on real PostgreSQL', () => {
  let pair: PostgresPair;
  let dns: LocalCluster;

  beforeAll(async () => {
    pair = await PostgresPair.start();
    dns = await LocalCluster.start({ hosts: pair.hosts });
  });

  afterAll(async () => {
    await dns?.close();
    await pair?.close();
  });

  function client(host: string): Client {
    const { address } = pair.server(host);
    const ssl = { ca: pair.ca, servername: host };
    return new Client({
      host: address,
      port: pair.port,
      user: pair.user,
      password: pair.password,
      database: pair.database,
      ssl,
      connectionTimeoutMillis: 1_000,
    });
  }

  async function owner(statement: string): Promise<void> {
    const session = client(pair.primary.hostName);
    await session.connect();
    await session.query(statement);
    await session.end();
    await pair.standby.waitForReplay(await pair.primary.position());
  }

  async function isUnknown(engine: HaEngine, reason: string): Promise<void> {
    expect(await engine.read()).toMatchObject({ state: 'unknown', reason });
  }

  it('Aurora: names the writer of aurora_replica_status(), and none from old or contradicting entries', async () => {
    await owner(auroraFunctions);
    const instances = [pair.primary.hostName, pair.standby.hostName];
    await using engine = auroraEngine({ instances, client });
    const entries = async (values: string) => owner(`truncate topology; insert into topology values ${values}`);
    await entries(`('i-1', 'MASTER_SESSION_ID', now()), ('i-2', 'a3f1', now())`);
    await until('the writer', async () => (await engine.read()).state === 'leader');
    expect(await engine.read()).toEqual({ state: 'leader', member: 'i-1' });
    await entries(`('i-1', 'a3f1', now()), ('i-2', 'MASTER_SESSION_ID', now())`);
    await until('the other writer', async () => JSON.stringify(await engine.read()).includes('"i-2"'));
    await entries(`('i-1', 'a3f1', now()), ('i-2', 'MASTER_SESSION_ID', now() - interval '5 minutes')`);
    await until('the age', async () => JSON.stringify(await engine.read()).includes('stale'));
    await entries(`('i-1', 'MASTER_SESSION_ID', now()), ('i-2', 'MASTER_SESSION_ID', now())`);
    await until('two writers', async () => JSON.stringify(await engine.read()).includes('two-leaders'));
    await owner('truncate topology');
    await until('no writer', async () => JSON.stringify(await engine.read()).includes('unlocked'));
  });

  it('RDS Multi-AZ: names the writer of rds_tools', async () => {
    await owner(`insert into rds_tools.members values ('db-A', 'one.abc.eu-west-1.rds.example.com', 5432, false),
      ('db-B', 'two.abc.eu-west-1.rds.example.com', 5432, true)`);
    const instances = [pair.primary.hostName, pair.standby.hostName];
    await using engine = auroraEngine({ instances, client, kind: 'multi-az' });
    await until('the writer', async () => (await engine.read()).state === 'leader');
    expect(await engine.read()).toEqual({ state: 'leader', member: 'two' });
  });

  it('SQL: follows a pair through a crash, a pool straight from the engine, and refuses two that take writes', async () => {
    const [one, two] = pair.servers.map(({ hostName }) => hostName) as [string, string];
    const targets = { one, two };
    await using engine = sqlEngine({ candidates: targets, client, pollMillis: 50 });
    await using source = engineSource({ engine, targets, client });
    const pool = new Pool({
      service: 'db',
      source,
      allowedTargets: [one, two],
      allowedNetworks: ['127.0.0.0/8', '::1/128'],
      dns: { nameservers: [dns.nameserver] },
      port: pair.port,
      user: pair.user,
      password: pair.password,
      database: pair.database,
      ssl: { ca: pair.ca },
    });
    await pool.query('create table kept (id integer)');
    expect(await engine.read()).toMatchObject({ member: 'one', timeline: 1 });
    await pool.query('insert into kept values (1)');
    await pair.primary.kill();
    await isUnknown(engine, 'unlocked');
    await pair.standby.promote();
    const promotedAt = performance.now();
    await pool.query('insert into kept values (2)');
    console.info(
      `engines: sqlEngine and engineSource: ${Math.round(performance.now() - promotedAt)} ms from promotion to the first write`,
    );
    expect(await engine.read()).toMatchObject({ member: 'two', timeline: 2 });
    expect((await pool.query('select id from kept order by id')).rows).toEqual([{ id: 1 }, { id: 2 }]);
    // The old primary comes back by itself, and takes writes.
    await pair.server(one).start();
    await until('both', async () => JSON.stringify(await engine.read()).includes('two-leaders'));
    expect(source.known?.externalName).toBe(two);
    await pool.end();
  });
});
