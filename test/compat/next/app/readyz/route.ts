import { database } from '../../lib/database.ts';

export const dynamic = 'force-dynamic';

// A verified connection to an allowed target in the wanted role has answered within the last second.
export async function GET(): Promise<Response> {
  try {
    // Less than the timeoutSeconds of the probe.
    await database().ready({ signal: AbortSignal.timeout(800) });
  } catch (error) {
    return Response.json({ ready: false, reason: error instanceof Error ? error.message : '' }, { status: 503 });
  }
  return Response.json({ ready: true, target: database().status().target?.externalName });
}
