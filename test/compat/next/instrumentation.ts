// Runs once in each server process, before the first request.
export async function register(): Promise<void> {
  // The edge runtime has no sockets.
  if (process.env['NEXT_RUNTIME'] !== 'nodejs') return;
  const { database } = await import('./lib/database.ts');
  // The first connection is made now, and not by the first request. The readiness probe says whether it could be.
  database()
    .ready({ signal: AbortSignal.timeout(10_000) })
    .catch(() => undefined);
}
