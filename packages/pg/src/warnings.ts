/** Tells whoever runs the process, once for each cause: on stderr, unless the application has a listener for `warning`. */
export function warn(code: `EXTERNALNAME_${string}`, message: string, detail?: string): void {
  process.emitWarning(message, { type: 'ExternalNameWarning', code, ...(detail === undefined ? {} : { detail }) });
}
