/** A warning of the process, as ours are. */
export type ProcessWarning = Error & { readonly code?: string; readonly detail?: string };

/** Collects the warnings that our packages give this process, until it is disposed. */
export function collectWarnings(): Disposable & { readonly warnings: ProcessWarning[] } {
  const warnings: ProcessWarning[] = [];
  const listen = (warning: ProcessWarning) => {
    if (warning.name === 'ExternalNameWarning') warnings.push(warning);
  };
  process.on('warning', listen);
  return { warnings, [Symbol.dispose]: () => void process.removeListener('warning', listen) };
}
