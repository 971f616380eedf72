// Lets everything in this process find the `pg` of another folder, EXTERNALNAME_TEST_PG: for `pnpm test:node`.
import { register } from 'node:module';
import { pathToFileURL } from 'node:url';

const hooks = `
const parentURL = ${JSON.stringify(pathToFileURL(`${process.env.EXTERNALNAME_TEST_PG}/package.json`).href)};
export const resolve = (specifier, context, next) =>
  next(specifier, /^pg(\\/|$)/.test(specifier) ? { ...context, parentURL } : context);
`;
register(`data:text/javascript,${encodeURIComponent(hooks)}`, import.meta.url);
