import type { Webscaler } from './webscaler.ts';

/**
 * Lets each job that is stored say so in `writes`, which the specification reads.
 *
 * @param table the queue's
 * @param column what the job was given, with the write's `id` in it
 */
export async function noteJobs(webscaler: Webscaler, table: string, column: string): Promise<void> {
  await webscaler.query(`
    create function note_job() returns trigger language plpgsql as
      $$ begin insert into public.writes (id) values (new.${column} ->> 'id'); return new; end $$;
    create trigger note_job after insert on ${table} for each row execute function note_job();
  `);
}
