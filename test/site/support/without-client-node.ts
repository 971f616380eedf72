// Loaded before a program: `@kubernetes/client-node` cannot be found, as if it were not installed.
import { register } from 'node:module';

const hooks = `export async function resolve(name, context, next) {
  if (!name.startsWith('@kubernetes/')) return next(name, context);
  throw Object.assign(new Error('Cannot find package ' + name), { code: 'ERR_MODULE_NOT_FOUND' });
}`;
register(`data:text/javascript,${encodeURIComponent(hooks)}`);
