import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

const root = resolve(import.meta.dirname, '../..');
const read = (path: string) => readFileSync(join(root, path), 'utf8');

/** Which test shows each point that we have: its file under `packages`, unless it begins with `test`, and its name. */
const shownBy: Readonly<Record<string, readonly [file: string, name: string]>> = {
  'A new connection looks the name up': ['core/test/follow-a-service', 'is made to the address of the target'],
  'The name is looked up while nothing happens': [
    'core/src/targets/dns-source',
    'is told when the TTL has ended, once',
  ],
  "The record's TTL is obeyed": [
    'core/src/targets/dns-source',
    'asks by the shortest TTL of the aliases that lead to the target',
  ],
  'The whole chain with its TTLs in one question': [
    'core/test/dns-chain',
    'is resolved by one query a family: chain, addresses, times, and who said so',
  ],
  'The last good target stays in use while DNS fails': [
    'core/test/follow-a-service',
    'keeps its last target while the DNS server is silent, and while the Service is gone',
  ],
  'Negative answers do not cause a storm of questions': [
    'core/test/dns-cache',
    'is kept as long as its zone says (RFC 2308)',
  ],
  'A resolver of your own': [
    'pg/test/balancing',
    'gives an address that joins the name its share, from the connections of the others',
  ],
  'A switch is pushed by a watch on Kubernetes': ['kubernetes/test/watch-source', 'pushes a switch to subscribers'],
  'It knows that the external name, not the Service, is the identity': [
    'core/src/identity/tls-identity',
    'is never the name of the Service, nor the host that the connection was opened with',
  ],
  'Another target is told from other addresses': ['core/test/dns-cache', 'tells other addresses from another target'],
  'Several hosts': ['pg/test/balanced-pool', 'goes to the next Service at once when one is lost, and says so'],
  '`target_session_attrs`': ['pg/src/connect/session-role', 'targetSessionAttrs, as libpq has them'],
  'The role without a query of its own': [
    'pg/test/planned-switch',
    'are not asked again by the callers who come at once',
  ],
  'The role is watched on open connections': [
    'pg/test/read-only-answer',
    'of a server that was fenced is waited out, and the statement done when it takes writes again',
  ],
  'An allow-list of targets, before any I/O': [
    'pg/test/bad-input',
    'a target outside the allow-list, before a socket is opened',
  ],
  'An allow-list of networks for the addresses': ['pg/test/bad-input', 'an address outside the allowed networks'],
  'An address that failed comes last for a while': ['core/src/targets/balancer', 'is in its old place after that'],
  'Addresses are raced (RFC 8305)': [
    'core/src/targets/racing',
    'starts each a quarter of a second after the one before',
  ],
  'A list of fallbacks, with a rule for the way back': [
    'pg/test/balanced-pool',
    'goes back when the preferred one has worked for the stable time',
  ],
  'A dead idle connection is removed': ['pg/test/late-release', 'costs no place, and is not lent to another caller'],
  'A connection that was idle for long is checked first': [
    'pg/test/idle-check',
    'is replaced if it does not answer within a second, and its caller gets an answer',
  ],
  'A dead peer is found while a query runs': [
    'pg/test/outage.long',
    'its statements fail within seconds with outcome unknown, and the pool goes on elsewhere',
  ],
  'A deadline for a query that frees its connection': [
    'pg/test/query-timeout.long',
    'nothing hangs if the server is stopped, and the statement ends once it continues',
  ],
  'Keepalive by default': [
    'pg/src/options',
    'begins after a minute for a Service: sooner than NAT gateways and load balancers forget a connection',
  ],
  "One failure casts doubt on the server's other connections": [
    'pg/test/query-timeout.long',
    'a server that does not take the request is suspect: idle connections are checked',
  ],
  '57P01 and 57P02 that come as notices': [
    'pg/test/ready',
    'becomes true again in an unused pool, after its server was away',
  ],
  'Idle connections to the old target are closed at once': [
    'pg/test/switch',
    'moves every connection: idle ones at once, a transaction when it has ended',
  ],
  'Busy ones may finish first': [
    'pg/test/switch',
    'moves every connection: idle ones at once, a transaction when it has ended',
  ],
  'within a deadline': ['pg/test/drain', 'goes on for the drain time, to the millisecond'],
  'No caller gets a connection of an earlier epoch': [
    'core/src/pooling/connections',
    'no connection of an earlier epoch is lent, and max and twice max hold',
  ],
  'Callers are held, not failed': [
    'pg/test/outage.long',
    'writes wait and none fails, until the Service points at the new primary',
  ],
  'One can wait until everything has moved': [
    'pg/src/pool/switching',
    'waits for the last connection of an earlier target, and for a candidate',
  ],
  'A dead client that is not released frees its place': [
    'pg/test/late-release',
    'costs no place, and is not lent to another caller',
  ],
  '`end()` is bounded': ['pg/src/pool/pool', 'cuts what is in use when endTimeoutMillis is over'],
  'LISTEN and long checkouts are told to move': ['pg/test/listen', 'a subscription follows, and calls onReconnect'],
  'Connecting is retried with backoff and jitter': [
    'pg/src/failures/retry',
    'is repeated at once, and then with pauses on the clock that it was given',
  ],
  'No storm of attempts while a server is down': [
    'pg/test/outage.long',
    'at most three attempts to connect are made in any second of the outage, however many callers wait',
  ],
  'What certainly did not run is run again': [
    'pg/test/outage.long',
    'no acknowledged write is lost, none is done twice, and only what was in flight fails',
  ],
  'Every error says whether it may have run': [
    'pg/src/failures/classify',
    'is recorded if it is known, does not show, and is not overwritten',
  ],
  'The outcome of a COMMIT without an answer is proven': [
    'pg/src/transaction/commit-outcome',
    'a COMMIT without an answer',
  ],
  'A transaction is repeated after 40001 and 40P01': [
    'pg/test/transaction',
    'the one that the server rolled back is retried as a whole (40001)',
  ],
  '`idempotent` widens what is repeated': [
    'pg/test/balanced-pool',
    'retries a statement that may have run only if it is idempotent',
  ],
  'A client released inside a transaction is noticed': [
    'pg/test/drop-in',
    'a client released inside an open transaction is not lent again',
  ],
  'Settings of the session are made again': ['pg/test/planned-switch', 'runs the hooks of all sessions at once'],
  'The real name behind an alias is verified': [
    'pg/test/switch',
    'connects to the external host over verified TLS, under its external name',
  ],
  'Full verification unless told otherwise': ['pg/test/bad-input', 'a certificate for another name'],
  '`require_auth`': ['pg/test/require-auth', 'requireAuth'],
  'Channel binding can be required': ['pg/test/authentication', 'channelBinding: require'],
  'The server must finish SCRAM': ['pg/test/authentication', 'a server that does not end SCRAM by its own proof'],
  'TLS from the first byte (`sslnegotiation=direct`)': ['pg/test/trust', 'direct TLS'],
  'Credentials for each target': ['pg/test/password-file', 'for the same name after a switch'],
  'Over the addresses of one name: random, round robin': ['pg/test/balancing', '%s shares queries of many callers'],
  'Least connections, weights, latency': [
    'core/src/targets/balancer-shares',
    'is ejected if its answers take four times as long as those of the others',
  ],
  'Lifetimes of connections with jitter': [
    'pg/test/lifetime',
    'maxLifetimeSeconds of a Service is shortened by up to a tenth',
  ],
  'Metrics for Prometheus and OpenTelemetry': [
    'test/monitoring/failover',
    'gets metrics that promtool finds nothing wrong with',
  ],
  'Counters and durations of switches': [
    'test/monitoring/failover',
    'reads a failover back: not ready while there is no server that takes writes, then the switch and its time',
  ],
  'Errors carry what was tried last': [
    'pg/test/recent-events.long',
    'the error of a query tells where the pool looked and what each address answered',
  ],
  '`node:diagnostics_channel`': ['core/src/events/channels', 'is a channel of node:diagnostics_channel under its name'],
  'It is a `pg.Pool`': ['pg/test/drop-in', 'seen from the application, it does what pg.Pool does with'],
  'Any PostgreSQL, any cloud': [
    'test/acceptance/multi-cloud-reads-example',
    'the example of reads in two clouds: shared by weight',
  ],
  'Fits Sequelize, TypeORM and Knex': ['test/compat/knex', 'Knex, when a query takes longer than its timeout'],
  'A guarded switch, and the way back': [
    'kubernetes/test/switch',
    'goes back to the recorded previous target, with the same record',
  ],
  'A kit to rehearse a failover': [
    'drill/test/drill.long',
    'tells what happens and how the workers do, and what became of each write',
  ],
  'Connections to the new target are warm before the old ones go': [
    'pg/test/warm-up',
    'opens that many connections at the new target before the pool moves, and hands them out',
  ],
};

/** What we do not have, and why. */
const notOurs: readonly string[] = ['`tcp_user_timeout`'];

const rows = [...read('docs/comparison.md').matchAll(/^\| (.+?) \| (\[yes\]\(.*?\)|by .*?|– .*?) \|/gm)].map(
  ([, point = '', ours = '']) => ({ point, ours }),
);

describe('the comparison with the alternatives', () => {
  it('has 65 points', () => {
    expect(rows).toHaveLength(65);
  });

  it('says that we have what a test shows, and nothing else', () => {
    const [have, lack] = [
      rows.filter(({ ours }) => !ours.startsWith('–')),
      rows.filter(({ ours }) => ours.startsWith('–')),
    ];
    expect(have.map(({ point }) => point)).toEqual(Object.keys(shownBy));
    expect(lack.map(({ point }) => point)).toEqual(notOurs);
  });

  it.each(Object.entries(shownBy))('%s', (_, [file, name]) => {
    expect(read(`${file.startsWith('test/') ? '' : 'packages/'}${file}.test.ts`)).toContain(name);
  });
});
