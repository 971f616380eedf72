/** What is supported, as docs/support.md says. */
export const supported = {
  node: ['20', '22', '24', '26'],
  postgres: ['12', '13', '14', '15', '16', '17', '18'],
  /** As `peerDependencies` of packages/pg say. */
  oldestPg: '8.16.0',
} as const;
