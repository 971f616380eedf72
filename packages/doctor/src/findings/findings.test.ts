import { TlsIdentityError } from '@externalname/core';
import type { RuleCode } from '@externalname/core/validation';
import { describe, expect, it } from 'vitest';
import {
  answer,
  certificate,
  endpoint,
  facts,
  failed,
  fullName,
  hop,
  host,
  postgres,
  service,
  state,
  tls,
} from '../../test/healthy-facts.ts';
import type { EndpointFacts, Facts, TlsFacts } from '../facts/facts.ts';
import type { NameAnswer } from '../names/name-answer.ts';
import { judge } from './finding.ts';
import { rules } from './rules.ts';

const issue = (code: RuleCode, severity: 'error' | 'warning' = 'warning') => ({
  service: {
    ...service,
    issues: [
      {
        code,
        severity,
        path: 'spec.externalName',
        message: `"192.0.2.7" is wrong`,
        hint: 'Mend it.',
        source: 'a test',
      },
    ],
  },
});
const names = (changes: Partial<Facts['dns']>) => ({ dns: { ...facts.dns, ...changes } });
const target = (changes: Partial<NameAnswer>) => names({ target: [answer(changes)] });
const at = (changes: Partial<EndpointFacts>) => ({ endpoints: [{ ...endpoint, ...changes }] });
const shown = (changes: Partial<TlsFacts>) => at({ tls: { ...tls, ...changes } });
const said = (changes: Partial<typeof postgres>) => at({ postgres: { ...postgres, ...changes } });
const asked = (changes: Partial<Facts['asked']>) => ({ asked: { ...facts.asked, ...changes } });
const http = (status: number) => at({ http: { kind: 'answered', status, location: undefined, elapsedMillis: 1 } });

/** For each rule, the least that is different from a healthy set. */
const table: readonly (readonly [rule: string, changes: Partial<Facts>])[] = [
  ['service-missing', { service: { kind: 'missing', cluster: 'staging', others: ['webscaler-cache'] } }],
  ['service-type', { service: { ...service, type: 'ClusterIP', target: undefined } }],
  ['service-address', issue('ip-like')],
  ['service-self-loop', issue('self-loop')],
  ['service-loopback', issue('loopback')],
  ['service-sensitive', issue('sensitive')],
  ['service-single-label', issue('single-label')],
  ['service-partial-name', issue('in-cluster-partial')],
  ['service-invalid', issue('name-invalid', 'error')],
  ['service-ports', issue('ports-ignored')],
  ['service-selector', issue('selector-ignored')],
  ['service-reserved-name', issue('reserved-suffix')],
  ['service-owned', { service: { ...service, owners: ['Argo CD'] } }],
  ['target-refused', { policy: { ...facts.policy, refusal: failed('ERR_EXTERNALNAME_TARGET_REFUSED') } }],
  [
    'address-refused',
    at({ refusal: failed('ERR_EXTERNALNAME_ADDRESS_REFUSED'), tcp: undefined, tls: undefined, postgres: undefined }),
  ],
  ['allow-list-missing', { policy: { allowedTargets: undefined, from: undefined, refusal: undefined } }],
  ['dns-all-silent', names({ service: [answer({ outcome: 'unavailable', failure: 'timeout' })], target: [] })],
  ['dns-loop', target({ outcome: 'loop', addresses: [], chain: [hop('a.example.com')] })],
  ['dns-target-missing', target({ outcome: 'not-found', addresses: [] })],
  ['dns-target-empty', target({ outcome: 'no-address', addresses: [] })],
  ['dns-target-failing', target({ outcome: 'unavailable', failure: 'refused', addresses: [] })],
  ['dns-service-missing', names({ service: [answer({ name: fullName, outcome: 'not-found', addresses: [] })] })],
  ['dns-stale', names({ service: [answer({ name: fullName, chain: [hop('secondary-db.example.com')] })] })],
  [
    'dns-disagree',
    names({
      target: [
        answer(),
        answer({ server: '10.96.0.11:53', addresses: [{ address: '192.0.2.11', family: 4, ttlSeconds: 5 }] }),
      ],
    }),
  ],
  [
    'dns-one-silent',
    names({
      target: [
        answer(),
        answer({ server: '10.96.0.11:53', outcome: 'unavailable', failure: 'timeout', addresses: [] }),
      ],
    }),
  ],
  ['dns-slow', target({ elapsedMillis: 900 })],
  ['dns-ttl-long', names({ service: [answer({ name: fullName, chain: [hop(host, 300)] })] })],
  ['dns-search-waste', names({ wasted: [`${fullName}.default.svc.cluster.local`] })],
  ['tcp-refused', at({ tcp: failed('ECONNREFUSED'), tls: undefined, postgres: undefined })],
  ['tcp-silent', at({ tcp: failed('ERR_EXTERNALNAME_DEADLINE'), tls: undefined, postgres: undefined })],
  ['tcp-unreachable', at({ tcp: failed('EHOSTUNREACH'), tls: undefined, postgres: undefined })],
  [
    'tcp-unreachable',
    {
      endpoints: ['ECONNREFUSED', 'ETIMEDOUT'].map((code) => ({
        ...endpoint,
        tcp: failed(code),
        tls: undefined,
        postgres: undefined,
      })),
    },
  ],
  [
    'tcp-some-dead',
    {
      endpoints: [
        endpoint,
        { ...endpoint, address: '192.0.2.11', tcp: failed('ECONNREFUSED'), tls: undefined, postgres: undefined },
      ],
    },
  ],
  ['tls-not-offered', at({ tls: failed('NO_TLS'), postgres: undefined })],
  ['tls-not-offered', at({ tls: failed('ERR_SSL_WRONG_VERSION_NUMBER', 'wrong version number'), postgres: undefined })],
  ['server-silent', at({ tls: failed('ERR_EXTERNALNAME_DEADLINE'), postgres: undefined })],
  ['tls-broken', at({ tls: failed('ECONNRESET'), postgres: undefined })],
  ['tls-protocol-old', shown({ protocol: 'TLSv1.1' })],
  [
    'tls-expired',
    shown({ distrust: 'CERT_HAS_EXPIRED', chain: [{ ...certificate, validTo: '2026-11-01T00:00:00.000Z' }] }),
  ],
  [
    'tls-not-yet-valid',
    shown({ distrust: 'CERT_NOT_YET_VALID', chain: [{ ...certificate, validFrom: '2026-12-24T00:00:00.000Z' }] }),
  ],
  [
    'tls-name',
    shown({
      identity: new TlsIdentityError({ externalName: host, via: [] }, ['a.example.com']).message,
      names: ['a.example.com'],
    }),
  ],
  ['tls-self-signed', shown({ distrust: 'DEPTH_ZERO_SELF_SIGNED_CERT' })],
  ['tls-chain-incomplete', shown({ distrust: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE' })],
  ['tls-untrusted', shown({ distrust: 'SELF_SIGNED_CERT_IN_CHAIN', chain: [certificate, certificate] })],
  ['tls-common-name', shown({ commonNameOnly: true })],
  ['tls-expires-soon', shown({ chain: [{ ...certificate, validTo: '2026-12-02T00:00:00.000Z' }] })],
  ['postgres-starting', at({ postgres: failed('57P03', 'the database system is starting up') })],
  ['postgres-full', at({ postgres: failed('53300') })],
  ['postgres-password', at({ postgres: failed('28P01') })],
  ['postgres-hba', at({ postgres: failed('28000') })],
  ['postgres-database', at({ postgres: failed('3D000') })],
  ['postgres-no-password', at({ postgres: failed('NO_PASSWORD') })],
  ['postgres-silent', at({ postgres: failed('ERR_EXTERNALNAME_DEADLINE') })],
  ['postgres-broken', at({ postgres: failed('XX000', 'could not open file') })],
  ['postgres-standby', said({ state: { ...state, inRecovery: true } })],
  ['postgres-primary', asked({ role: 'standby' })],
  ['postgres-read-only', said({ state: { ...state, readOnly: true } })],
  [
    'postgres-mixed',
    {
      ...asked({ role: 'any' }),
      endpoints: [endpoint, { ...endpoint, postgres: { ...postgres, state: { ...state, inRecovery: true } } }],
    },
  ],
  [
    'postgres-lag',
    {
      ...asked({ role: 'standby' }),
      ...said({ state: { ...state, inRecovery: true, replayDelaySeconds: 300 } as unknown as typeof state }),
    },
  ],
  ['postgres-nearly-full', said({ connections: 95 })],
  ['postgres-authentication', said({ authentication: 'md5' })],
  ['http-failed', at({ http: failed('ECONNRESET') })],
  ['http-misdirected', http(421)],
  ['http-server-error', http(503)],
  ['cluster-unreachable', { service: failed('ERR_EXTERNALNAME_KUBERNETES_UNAVAILABLE') }],
  ['cluster-unauthorized', { service: failed('ERR_EXTERNALNAME_KUBERNETES_UNAUTHORIZED') }],
  ['cluster-not-configured', { service: failed('ERR_EXTERNALNAME_KUBERNETES_CONFIG') }],
  ['access-read', { service: failed('ERR_EXTERNALNAME_KUBERNETES_FORBIDDEN') }],
  [
    'access-switch',
    {
      access: {
        kind: 'reviewed',
        user: 'reader',
        permissions: [{ verb: 'patch', resource: 'services', allowed: false, reason: '' }],
      },
    },
  ],
];

describe('the rules of doctor', () => {
  it('find nothing in a healthy set', () => {
    expect(judge(facts, rules)).toEqual([]);
  });

  it.each(table)('%s is found, first and alone', (rule, changes) => {
    const findings = judge({ ...facts, ...changes }, rules);
    expect(findings.map((finding) => finding.rule)).toEqual([rule]);
    for (const { says, means, users, mend } of findings) {
      for (const sentence of [says, means, users]) expect(sentence).toMatch(/\S+ \S+|Nothing\./);
      expect(mend.length).toBeGreaterThan(0);
      expect([says, means, users, ...mend].join(' ')).not.toMatch(/undefined|\[object|NaN/);
    }
  });

  it('stand in the table above, each of them, under a name of its own', () => {
    const codes = rules.map(({ code }) => code);
    expect(new Set(codes).size).toBe(codes.length);
    expect(new Set(table.map(([rule]) => rule))).toEqual(new Set(codes));
  });

  it('put errors before warnings, and what is behind others first', () => {
    const findings = judge(
      { ...facts, ...issue('ports-ignored'), ...target({ outcome: 'not-found', addresses: [] }) },
      rules,
    );
    expect(findings.map(({ rule }) => rule)).toEqual(['dns-target-missing', 'service-ports']);
  });

  it('name the same cluster and namespace in commands of ours, before a pipe', () => {
    const [finding] = judge({ ...facts, service: { kind: 'missing', cluster: 'staging', others: [] } }, rules);
    expect(finding?.mend[1]).toBe(
      'externalname create service webscaler-db --to <host> -n default | kubectl -n default apply -f -',
    );
  });

  it('let nothing but names into commands, and no control character into sentences', () => {
    const hostile = `db.example.com'; touch /tmp/pasted; '$(id)`;
    const lastSwitch = { id: '1', previous: hostile, target: host, by: '\u001b[31mred', at: '2026-11-29' };
    const changes: readonly Partial<Facts>[] = [
      { service: { ...service, lastSwitch }, ...target({ outcome: 'not-found', addresses: [], name: hostile }) },
      { target: { externalName: hostile, via: [] }, ...shown({ identity: 'no', names: ['\u001b[2J'] }) },
      { policy: { ...facts.policy, allowedTargets: [host, hostile] }, ...at({ tcp: failed('ECONNREFUSED') }) },
    ];
    for (const each of changes) {
      const findings = judge({ ...facts, ...each }, rules);
      expect(findings.length).toBeGreaterThan(0);
      for (const { says, means, users, mend } of findings) {
        const commands = mend.filter((command) => /^(kubectl|externalname|dig|openssl|curl)/.test(command));
        expect(commands.join('\n')).not.toContain('touch');
        expect([says, means, users, ...mend].join('')).not.toContain('\u001b');
      }
    }
  });
});
