import type { CommandEntry } from './command.ts';

/** Every command, in the order in which the help lists them. A module is loaded when its command is called. */
export const commands: readonly CommandEntry[] = [
  {
    name: 'completion',
    summary: 'Print the completion script for bash or zsh',
    load: async () => (await import('./commands/completion.ts')).completion,
  },
];
