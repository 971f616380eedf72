/**
 * Throws one clear sentence if Node.js is too old, before anything else fails. Other runtimes are judged by the version of
 * Node.js that they claim to be compatible with, if they claim one.
 */
export function requireSupportedNode(version: string | undefined): void {
  const [major = 0, minor = 0] = (version ?? '').split('.').map(Number);
  const isOld = major < oldest.major || (major === oldest.major && minor < oldest.minor);
  if (version === undefined || !isOld) return;
  const code = 'ERR_EXTERNALNAME_UNSUPPORTED_VERSION';
  const needed = `externalname needs Node.js ${oldest.major}.${oldest.minor} or newer, and this is ${version}`;
  throw Object.assign(new Error(`${needed}: use a newer Node.js`), { code });
}

const oldest = { major: 20, minor: 19 };
