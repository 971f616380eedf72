import { describe, expect, it } from 'vitest';
import { clientOptions, type PoolOptions, poolSettings } from './options.ts';

const service = { service: 'webscaler-db', allowedTargets: ['primary-db.example.com'], database: 'app' } as const;
const clientOptionsOf = (options: PoolOptions) => clientOptions(options, poolSettings(options, {}));

describe('TCP keepalive', () => {
  it('begins after a minute for a Service: sooner than NAT gateways and load balancers forget a connection', () => {
    expect(clientOptionsOf(service)).toMatchObject({ keepAlive: true, keepAliveInitialDelayMillis: 60_000 });
  });

  it('is what the application says', () => {
    const own = { keepAlive: false, keepAliveInitialDelayMillis: 5_000 };
    expect(clientOptionsOf({ ...service, ...own })).toMatchObject(own);
  });

  it('is left to pg for a plain host', () => {
    const options = clientOptionsOf({ host: 'localhost', database: 'app' });
    expect(options).not.toHaveProperty('keepAlive');
    expect(options).not.toHaveProperty('keepAliveInitialDelayMillis');
  });
});

describe('a connection that was idle', () => {
  it('is looked at after ten seconds for a Service, and never for a plain host', () => {
    expect(poolSettings(service, {}).idleCheckMillis).toBe(10_000);
    expect(poolSettings({ host: 'localhost' }, {}).idleCheckMillis).toBe(Number.POSITIVE_INFINITY);
    expect(poolSettings({ ...service, idleCheckMillis: 0 }, {}).idleCheckMillis).toBe(0);
  });
});
