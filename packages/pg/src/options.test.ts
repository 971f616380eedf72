import { inspect } from 'node:util';
import pg from 'pg';
import { describe, expect, it } from 'vitest';
import { clientOptions, demandsOf, hideSecrets } from './client-options.ts';
import { type PoolOptions, poolSettings } from './options.ts';

const service: PoolOptions = {
  service: 'webscaler-db',
  allowedTargets: ['primary-db.example.com'],
  password: 'hunter2',
};

function accepted(options: PoolOptions): readonly string[] | undefined {
  const settings = poolSettings(options, {});
  return demandsOf(settings, new pg.Client({ password: options.password }), 'here').accepted;
}

describe('requireAuth', () => {
  it.each<[string, PoolOptions, readonly string[] | undefined]>([
    ['by default over verified TLS', service, ['scram-sha-256', 'md5', 'password']],
    ['by default without TLS', { ...service, ssl: false }, ['scram-sha-256']],
    ['!md5 over verified TLS', { ...service, requireAuth: '!md5' }, ['scram-sha-256', 'password']],
    ['!md5 without TLS: no cleartext either', { ...service, ssl: false, requireAuth: '!md5' }, ['scram-sha-256']],
    [
      '!none, which a password had ruled out',
      { ...service, requireAuth: '!none' },
      ['scram-sha-256', 'md5', 'password'],
    ],
    ['a list', { ...service, requireAuth: ['md5', 'none'] }, ['md5', 'none']],
    ['!password for a plain host', { host: 'a', requireAuth: '!password,!md5' }, ['scram-sha-256', 'none']],
    ['!gss for a plain host', { host: 'a', requireAuth: '!gss,!sspi' }, ['scram-sha-256', 'md5', 'password', 'none']],
    ['a list with oauth in it', { ...service, requireAuth: 'oauth, scram-sha-256' }, ['oauth', 'scram-sha-256']],
    ['!oauth over verified TLS', { ...service, requireAuth: '!oauth' }, ['scram-sha-256', 'md5', 'password']],
    ['nothing for a plain host', { host: 'a' }, undefined],
  ])('%s', (_, options, methods) => {
    expect(accepted(options)).toEqual(methods);
  });
});

describe('requireAuth is refused if it', () => {
  const answerable = 'scram-sha-256, md5, password, none';
  it.each<[string, string | readonly string[], string]>([
    ['names an unknown method', 'kerberos', `must name methods among ${answerable}, gss, sspi, oauth`],
    ['is empty', '', `must name methods among ${answerable}, gss, sspi, oauth`],
    ['has an empty entry', 'md5,', `must name methods among ${answerable}, gss, sspi, oauth`],
    ['mixes both forms', ['md5', '!none'], 'must have "!" before each method, or before none'],
    ['names a method twice', 'md5,scram-sha-256,md5', 'must name each method once'],
    ['names a method twice, negated', '!gss,!gss', 'must name each method once'],
    ['leaves only gss', 'gss', `must leave a method that pg can answer (${answerable})`],
    ['leaves only oauth and sspi', 'oauth,sspi', `must leave a method that pg can answer (${answerable})`],
    [
      'takes away all but gss, sspi and oauth',
      '!scram-sha-256,!md5,!password,!none',
      `must leave a method that pg can answer (${answerable})`,
    ],
  ])('%s', (_, requireAuth, message) => {
    for (const options of [service, { host: 'a' }]) {
      expect(() => poolSettings({ ...options, requireAuth }, {})).toThrow(`requireAuth: ${message}, got `);
    }
  });
});

describe('EXTERNALNAME_ALLOWED_TARGETS', () => {
  it.each(['', '  ', ',', ' , ,'])(
    'set to %j is an error, and no protection turned off',
    (EXTERNALNAME_ALLOWED_TARGETS) => {
      expect(() => poolSettings({ host: 'webscaler-db' }, { EXTERNALNAME_ALLOWED_TARGETS })).toThrow(
        expect.objectContaining({ argument: 'EXTERNALNAME_ALLOWED_TARGETS' }),
      );
      expect(poolSettings(service, { EXTERNALNAME_ALLOWED_TARGETS }).allowedTargets).toEqual(service.allowedTargets);
    },
  );
});

describe('TLS for a Service', () => {
  it.each([
    ['postgres://app@webscaler-db/app#?sslmode=disable', 'verified'],
    ['postgres://app@webscaler-db/app?application_name=a#&sslmode=disable', 'verified'],
    ['postgres://app@webscaler-db/app?sslmode=disable', 'off'],
  ])('of %s is %s', (connectionString, tls) => {
    expect(poolSettings({ ...service, connectionString }, {}).tls).toBe(tls);
  });

  it.each([{ session: Buffer.alloc(1) }, { pskCallback: () => null }])(
    'refuses what lets a server in without its own certificate: %j',
    (ssl) => {
      expect(() => poolSettings({ ...service, ssl: ssl as never }, {})).toThrow(/is refused for a Service/);
      expect(() => poolSettings({ host: 'plain', ssl: ssl as never }, {})).not.toThrow();
    },
  );
});

describe('the options of a pool', () => {
  it('are the given ones, and none of a prototype', () => {
    const polluted = Object.assign(Object.create({ allowedTargets: 'any', ssl: false, requireAuth: 'none' }), {
      service: 'webscaler-db',
    });
    expect(poolSettings(polluted, {})).toMatchObject({
      allowedTargets: undefined,
      tls: 'verified',
      requireAuth: undefined,
    });
  });

  it('show no secret, printed or as JSON', () => {
    const options: PoolOptions = {
      connectionString: 'postgres://app:hunter2@webscaler-db/app',
      ssl: { key: 'hunter2-key', passphrase: 'hunter2-passphrase', pfx: 'hunter2-pfx', ca: 'ca' },
      max: 3,
    };
    hideSecrets(options);
    for (const text of [inspect(options, { depth: 9 }), JSON.stringify(options), JSON.stringify({ pool: options })]) {
      expect(text).not.toContain('hunter2');
      expect(text).toContain('3');
    }
    expect(options.connectionString).toContain('hunter2');
    expect({ ...options }).toMatchObject({ max: 3 });
  });
});

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

  it.each([['idle'], ['all'], [false]] as const)('retireOnAddressChange takes %s', (value) => {
    expect(poolSettings({ retireOnAddressChange: value }, {}).retireOnAddressChange).toBe(value);
    expect(poolSettings({}, {}).retireOnAddressChange).toBe('idle');
  });

  it.each([[true], ['none'], [0], [null]])('retireOnAddressChange refuses %s', (value) => {
    expect(() => poolSettings({ retireOnAddressChange: value as never }, {})).toThrow(
      expect.objectContaining({ code: 'ERR_EXTERNALNAME_INVALID_ARGUMENT', argument: 'retireOnAddressChange' }),
    );
  });
});
