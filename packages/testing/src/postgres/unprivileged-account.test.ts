import { readFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { ownName } from './unprivileged-account.ts';

vi.mock('node:fs', () => ({ readFileSync: vi.fn() }));
vi.mock('node:os', () => ({ userInfo: vi.fn() }));

const passwd =
  'root:x:0:0:root:/root:/bin/sh\n# a comment\nnobody:x:65534:65534::/:/bin/false\napp:x:1000:1000::/home/app:/bin/sh\n';

describe('the name under which PostgreSQL knows this process (peer authentication)', () => {
  afterEach(() => vi.restoreAllMocks());

  it.each([
    ['that of the user id in /etc/passwd, whatever the runtime says', passwd, 1000, 'app'],
    ["the system's, if the file does not have it", passwd, 2000, 'said'],
    ["the system's, if there is no such file", undefined, 1000, 'said'],
  ])('is %s', (_, text, uid, name) => {
    vi.mocked(readFileSync).mockImplementation(() => {
      if (text === undefined) throw new Error('ENOENT');
      return text;
    });
    vi.mocked(userInfo).mockReturnValue({ username: 'said' } as ReturnType<typeof userInfo>);
    vi.spyOn(process, 'getuid').mockReturnValue(uid);
    expect(ownName()).toBe(name);
  });
});
