import type { CommandEntry } from './command.ts';

/** Every command, in the order in which the help lists them. A module is loaded when its command is called. */
export const commands: readonly CommandEntry[] = [
  {
    name: 'doctor',
    summary: 'Say what is wrong with a Service, first things first',
    load: async () => (await import('./commands/doctor.ts')).doctor,
  },
  {
    name: 'resolve',
    summary: 'Show what each DNS server says about a name, and how fast',
    load: async () => (await import('./commands/resolve.ts')).resolve,
  },
  {
    name: 'create',
    summary: 'Print manifests: Services, roles, policies, workloads, patches',
    load: async () => (await import('./commands/create.ts')).create,
  },
  {
    name: 'lint',
    summary: 'Find what the API server would refuse or what cannot work, in manifests',
    load: async () => (await import('./commands/lint.ts')).lint,
  },
  {
    name: 'watch',
    summary: 'Show where a Service points as each source sees it, live',
    load: async () => (await import('./commands/watch.ts')).watchCommand,
  },
  {
    name: 'switch',
    summary: 'Point a Service to another target, after a look at what speaks against it',
    load: async () => (await import('./commands/switch.ts')).switchCommand,
  },
  {
    name: 'rollback',
    summary: 'Point a Service back to where it pointed before the last switch',
    load: async () => (await import('./commands/rollback.ts')).rollbackCommand,
  },
  {
    name: 'history',
    summary: 'Show who switched a Service, when, and why',
    load: async () => (await import('./commands/history.ts')).historyCommand,
  },
  {
    name: 'follow',
    summary: 'Point a Service to the leader that an HA engine names, again and again',
    load: async () => (await import('./commands/follow.ts')).followCommand,
  },
  {
    name: 'drill',
    summary: 'Rehearse a failover, and measure what happens to the writes',
    load: async () => (await import('./commands/drill.ts')).drillCommand,
  },
  {
    name: 'dev',
    summary: 'Run a cluster DNS and the Kubernetes API around Services, here',
    load: async () => (await import('./commands/dev.ts')).devCommand,
  },
  {
    name: 'completion',
    summary: 'Print the completion script for bash or zsh',
    load: async () => (await import('./commands/completion.ts')).completion,
  },
];
