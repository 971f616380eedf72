import { describe, expect, it } from 'vitest';
import { requireSupportedNode } from './supported-node.ts';

describe('a version of Node.js', () => {
  it.each(['20.19.0', '20.20.2', '21.0.0', '22.11.0', '24.1.0', '100.0.0', undefined])(
    'that is supported: %s',
    (version) => {
      expect(() => requireSupportedNode(version)).not.toThrow();
    },
  );

  it.each(['20.18.3', '20.9.0', '19.9.0', '18.20.8', '9.0.0'])('that is too old: %s', (version) => {
    expect(() => requireSupportedNode(version)).toThrow(
      `externalname needs Node.js 20.19 or newer, and this is ${version}: use a newer Node.js`,
    );
  });
});
