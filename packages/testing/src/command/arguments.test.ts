import { describe, expect, it } from 'vitest';
import { parseCommandLine } from './arguments.ts';

describe('the command line of local-cluster', () => {
  it('asks for nothing in particular if it is empty', () => {
    expect(parseCommandLine([])).toEqual({ help: false, files: [], hosts: {} });
  });

  it('takes several files and hosts, and several addresses for a host', () => {
    const args = [
      '-f',
      'a.yaml',
      '--filename',
      'b.yaml',
      '--host',
      'a.example=127.0.0.11,::1',
      '--host',
      'a.example=127.0.0.12',
    ];
    expect(parseCommandLine(args)).toMatchObject({
      files: ['a.yaml', 'b.yaml'],
      hosts: { 'a.example': ['127.0.0.11', '::1', '127.0.0.12'] },
    });
  });

  it.each([
    [['--host', 'a.example'], '--host'],
    [['--host', 'a.example=b.example'], '--host'],
    [['--ttl', 'soon'], '--ttl'],
    [['--ttl', '3601'], '--ttl'],
    [['--dns-port', '65536'], '--dns-port'],
    [['--nonsense'], 'command line'],
  ])('refuses %j, and names the option', (args, argument) => {
    expect(() => parseCommandLine(args)).toThrow(
      expect.objectContaining({ code: 'ERR_EXTERNALNAME_INVALID_ARGUMENT', argument }),
    );
  });
});
