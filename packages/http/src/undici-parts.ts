/// <reference path="./undici-modules.d.ts" />
import api from 'undici/lib/api/index.js';
import errors from 'undici/lib/core/errors.js';
import util from 'undici/lib/core/util.js';
import UndiciDispatcher from 'undici/lib/dispatcher/dispatcher.js';
import UndiciPool from 'undici/lib/dispatcher/pool.js';

/**
 * What is used of undici, module by module. The face of the package makes its own agent the dispatcher of every `fetch` of the process
 * when it is loaded, if there was no `fetch` before. From then on a `fetch` that has nothing to do with a Service is another one: that of
 * Node.js 20 and 22 with a `Content-Length` of the caller fails (nodejs/undici#5500). And to load all of it takes more than twice as long.
 */
export { errors, UndiciDispatcher, UndiciPool, util };

// As the face does: `dispatcher.request()` and its kin.
Object.assign(UndiciDispatcher.prototype, api);
