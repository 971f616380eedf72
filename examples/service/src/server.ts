// What runs in the image. The Deployment says which Service, which hosts, and who: PGHOST, EXTERNALNAME_ALLOWED_TARGETS, PGUSER, ...
import { Pool } from '@externalname/pg';
import { endOfProcess, serve } from './serve.ts';

await serve(
  new Pool({ readySessions: 1 }),
  {
    host: '0.0.0.0',
    port: Number(process.env['PORT'] ?? 8080),
    noticeMillis: Number(process.env['NOTICE_MILLIS'] ?? 5000),
    onListening: (url) => console.log(`Listens on ${url}`),
  },
  endOfProcess(),
);
