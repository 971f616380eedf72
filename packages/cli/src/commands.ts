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
    name: 'completion',
    summary: 'Print the completion script for bash or zsh',
    load: async () => (await import('./commands/completion.ts')).completion,
  },
];
