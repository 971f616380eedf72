import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { maskSecrets } from './secrets.ts';

describe('a text from elsewhere', () => {
  it.each([
    ['a password that is known', 'role app with hunter2hunter2 refused', 'role app with [hidden] refused'],
    ['a password that is known, as it stands in a URL', 'GET /?p=p%40ss%2Fword', 'GET /?p=[hidden]'],
    [
      'a connection string',
      'cannot parse postgresql://app:pa/ss@wo:rd@db.example.com/app',
      'cannot parse postgresql://[hidden]@db.example.com/app',
    ],
    [
      'a password by its name',
      "password=abc, host=db and PGPASSWORD: 'a b c'",
      'password=[hidden], host=db and PGPASSWORD: [hidden]',
    ],
    ['a token by its name', '{"access_token":"eyJ0eXAi","user":"app"}', '{"access_token":[hidden],"user":"app"}'],
    ['a header', 'Authorization header was Bearer eyJ0.eXAi-_=', 'Authorization header was Bearer [hidden]'],
    [
      'a private key',
      'bad key -----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY----- given',
      'bad key [hidden] given',
    ],
    ['a private key that was cut off', 'bad key -----BEGIN EC PRIVATE KEY-----\nMIIE', 'bad key [hidden]'],
  ])('loses %s', (_, text, masked) => {
    expect(maskSecrets(text, ['hunter2hunter2', 'p@ss/word'])).toBe(masked);
  });

  it.each([
    'connect ECONNREFUSED 127.0.0.11:5432',
    'password authentication failed for user "app"',
    'the database system is starting up',
    "Hostname/IP does not match certificate's altnames: Host: primary-db.example.com. is not in the cert's altnames",
  ])('is left as it is if there is nothing to hide: %s', (text) => {
    expect(maskSecrets(text, ['hunter2hunter2', undefined, 7, ''])).toBe(text);
  });

  it('is cut before it is searched, whatever it is made of', () => {
    const begun = process.cpuUsage();
    for (const part of ['a-', 'a:', 'secret', '-----BEGIN ', 'x://', 'bearer ', '"', 'password=', '@', 'a ', 'key"']) {
      expect(maskSecrets(part.repeat(200_000), ['hunter2hunter2']).length).toBeLessThan(2_500);
    }
    expect(process.cpuUsage(begun).user / 1_000).toBeLessThan(2_000);
  });

  it('loses the whole of a secret that stands where it is cut', () => {
    const secret = 'hunter2'.repeat(20);
    for (let before = 1_800; before < 2_050; before += 1) {
      expect(maskSecrets(`${'x'.repeat(before)}${secret}${'y'.repeat(5_000)}`, [secret])).not.toContain('hunter2');
      expect(maskSecrets(`${'x'.repeat(before % 200)}${`${secret} `.repeat(99)}`, [secret])).not.toContain('hunter2');
    }
  });

  it('is hidden whole if the secret is so short that the rest of the words would reveal it', () => {
    expect(maskSecrets('a pin of 42 was refused', ['42'])).toBe('[hidden]');
  });

  it('never holds a secret, whatever both are', () => {
    const secrets = fc.oneof(fc.string({ minLength: 1 }), fc.string({ unit: 'binary', minLength: 1 }));
    fc.assert(
      fc.property(fc.string(), secrets, fc.string(), (before, secret, after) => {
        // What stands in its place may not be told from such a secret.
        fc.pre(!'[hidden]@ $1$2'.includes(secret));
        expect(maskSecrets(`${before}${secret}${after}`, [secret]).split('[hidden]').join('')).not.toContain(secret);
      }),
    );
  });
});
