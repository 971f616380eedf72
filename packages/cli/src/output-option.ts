import { choice } from './command.ts';

/** The option of every command that has a result to show. */
export const outputOption = choice('-o, --output <format>', 'how the result is written', ['text', 'json', 'yaml']);
