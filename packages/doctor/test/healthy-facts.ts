import { diagnosisOf } from '../src/diagnose/diagnose.ts';
import type { EndpointFacts, Facts, Failed, TlsFacts } from '../src/facts/facts.ts';
import type { NameAnswer } from '../src/names/name-answer.ts';

/** A healthy set, as `doctor` would find it: what tests change one thing of. */
export const host = 'primary-db.example.com';
export const fullName = 'webscaler-db.default.svc.cluster.local';
export const failed = (code: string, message = code): Failed => ({ kind: 'failed', code, message });

export const answer = (changes: Partial<NameAnswer> = {}): NameAnswer => ({
  server: '10.96.0.10:53',
  name: host,
  outcome: 'addresses',
  failure: undefined,
  detail: '',
  chain: [],
  addresses: [{ address: '192.0.2.10', family: 4, ttlSeconds: 30 }],
  elapsedMillis: 1,
  ...changes,
});
export const hop = (target = host, ttlSeconds = 5) => ({
  name: fullName,
  target,
  ttlSeconds,
  server: '10.96.0.10:53',
  elapsedMillis: 1,
});
export const certificate = {
  subject: 'CN=primary',
  issuer: 'CN=Authority',
  validFrom: '2026-01-01T00:00:00.000Z',
  validTo: '2027-06-01T00:00:00.000Z',
};
export const tls: TlsFacts = {
  kind: 'shown',
  protocol: 'TLSv1.3',
  distrust: undefined,
  identity: undefined,
  names: [host],
  commonNameOnly: false,
  chain: [certificate],
};
export const state = {
  inRecovery: false,
  readOnly: false,
  systemIdentifier: '1',
  timeline: 1,
  logPosition: 1n,
  replayDelaySeconds: undefined,
};
export const postgres = {
  kind: 'answered' as const,
  state,
  version: '17.2',
  connectionLimit: 97,
  connections: 3,
  authentication: 'scram-sha-256',
  encrypted: true,
};
export const endpoint: EndpointFacts = {
  address: '192.0.2.10',
  refusal: undefined,
  tcp: { kind: 'open', elapsedMillis: 1 },
  tls,
  postgres,
  http: undefined,
};
export const service = {
  kind: 'found' as const,
  cluster: 'https://10.0.0.1:6443 (context staging)',
  type: 'ExternalName',
  externalName: host,
  target: host,
  issues: [],
  owners: [],
  writers: [],
  lastSwitch: undefined,
};
export const facts: Facts = {
  asked: {
    reference: { name: 'webscaler-db', namespace: 'default', clusterDomain: 'cluster.local', fullName },
    written: 'webscaler-db',
    port: 5432,
    protocol: 'postgres',
    role: 'primary',
    kubectl: 'kubectl -n default',
    program: 'externalname',
    flags: ' -n default',
  },
  at: '2026-11-29T12:00:00.000Z',
  service,
  target: { externalName: host, via: [fullName] },
  policy: { allowedTargets: [host, 'secondary-db.example.com'], from: 'option', refusal: undefined },
  dns: { from: 'cluster', service: [answer({ name: fullName, chain: [hop()] })], target: [answer()], wasted: [] },
  endpoints: [endpoint],
  access: {
    kind: 'reviewed',
    user: 'operator',
    permissions: [{ verb: 'patch', resource: 'services', allowed: true, reason: '' }],
  },
};

/** What is said of a set in which so much differs from the healthy one. */
export const diagnosed = (changes: Partial<Facts> = {}) => diagnosisOf({ ...facts, ...changes });
