/** Warns the operator of the process: on stderr, unless the application listens for `warning`. */
export function warn(code: `EXTERNALNAME_${string}`, message: string, detail?: string): void {
  process.emitWarning(message, { type: 'ExternalNameWarning', code, ...(detail === undefined ? {} : { detail }) });
}
