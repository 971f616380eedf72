import { createApp } from './app.ts';

// PGHOST=webscaler-db, EXTERNALNAME_ALLOWED_TARGETS, PGUSER, PGPASSWORD, PGDATABASE and PGSSLROOTCERT come from the Deployment.
const app = await createApp();
await app.listen(process.env['PORT'] ?? 8080);
