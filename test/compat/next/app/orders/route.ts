import { database } from '../../lib/database.ts';

export async function POST(request: Request): Promise<Response> {
  const { id } = (await request.json()) as { id: string };
  // The key makes it safe to run twice, so a crash of the server costs a wait and not an error.
  const text = 'insert into orders (id) values ($1) on conflict do nothing';
  await database().query({ text, values: [id], idempotent: true });
  return Response.json({ id }, { status: 201 });
}
