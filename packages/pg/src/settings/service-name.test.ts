import { describe, expect, it } from 'vitest';
import { mayBeService } from './service-name.ts';

describe('a host', () => {
  it.each([
    'webscaler-db',
    'webscaler-db.default',
    'webscaler-db.default.svc',
    'webscaler-db.default.svc.cluster.local',
    'webscaler-db.default.svc.cluster.local.',
  ])('%s can be a Service', (host) => expect(mayBeService(host)).toBe(true));

  it.each([
    'localhost',
    'db.localhost',
    '127.0.0.1',
    '::1',
    '2001:db8::1',
    '/var/run/postgresql',
    'primary-db.example.com',
    'db.eu-west-1.rds.amazonaws.com',
    '',
    'not a name',
  ])('%j cannot', (host) => expect(mayBeService(host)).toBe(false));
});
