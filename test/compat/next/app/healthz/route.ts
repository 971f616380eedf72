// A response that is computed at build time would always be well.
export const dynamic = 'force-dynamic';

// The process runs. It says nothing about the database: restarting pods in an outage does not help.
export function GET(): Response {
  return Response.json({ status: 'alive' });
}
