// Modules of undici that come without types of their own. They are those of the package's face.

declare module 'undici/lib/api/index.js' {
  import type { Dispatcher } from 'undici';

  const api: Pick<Dispatcher, 'connect' | 'pipeline' | 'request' | 'stream' | 'upgrade'>;
  export default api;
}

declare module 'undici/lib/core/errors.js' {
  import type { errors } from 'undici';

  const module: typeof errors;
  export default module;
}

declare module 'undici/lib/core/util.js' {
  import type { util } from 'undici';

  const module: typeof util;
  export default module;
}

declare module 'undici/lib/dispatcher/dispatcher.js' {
  import type { Dispatcher } from 'undici';

  const module: typeof Dispatcher;
  export default module;
}

declare module 'undici/lib/dispatcher/pool.js' {
  import type { Pool } from 'undici';

  const module: typeof Pool;
  export default module;
}
