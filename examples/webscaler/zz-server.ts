import { spawn } from 'node:child_process';
import { PostgresPair } from '@externalname/testing';

const pair = await PostgresPair.start({ accessRules: ['hostnossl all all all scram-sha-256'] } as never);
const s = pair.primary;
const child = spawn(process.argv[2]!, process.argv.slice(3), {
  stdio: 'inherit',
  env: {
    ...process.env,
    PGHOST: s.address,
    PGPORT: String(s.port),
    PGUSER: pair.user,
    PGPASSWORD: pair.password,
    PGDATABASE: pair.database,
  },
});
child.on('exit', async (code) => {
  await pair.close();
  process.exit(code ?? 1);
});
