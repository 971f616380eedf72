/** Warns the operator of the process: on stderr, unless Node.js runs with `--no-warnings`, and by the event `warning`. */
export function warn(code: `EXTERNALNAME_${string}`, message: string, detail?: string): void {
  process.emitWarning(message, { type: 'ExternalNameWarning', code, ...(detail === undefined ? {} : { detail }) });
}
