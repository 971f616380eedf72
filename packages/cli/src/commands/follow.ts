import { abortable } from '@externalname/core/internal';
import { followEngine } from '@externalname/engines';
import { command } from '../command.ts';
import { healthPlace, serveHealth } from '../following/health-server.ts';
import { followingOf, followOptions } from '../following/options.ts';
import { statusRows, tellEvents } from '../following/telling.ts';
import { Live } from '../live.ts';

/** `follow`: points a Service to the leader that an HA engine names, again and again. */
export const followCommand = command({
  arguments: [
    { name: '<service>', summary: 'the Service: webscaler-db, or webscaler-db.namespace', complete: 'services' },
  ],
  about:
    'Reads who leads from the engine that decides it, asks the new leader itself, and switches the Service with the guards of switch, until ' +
    'Ctrl-C. It never elects, and changes nothing in doubt: a line says why. Several replicas are safe, by a Lease.',
  options: followOptions,
  examples: [
    {
      command:
        'follow webscaler-db -e patroni --scope webscaler --member https://db-1.example.com:8008,https://db-2.example.com:8008 ' +
        '-t db-1=primary-db.example.com -t db-2=secondary-db.example.com --user follower --health 8080',
      does: 'follow Patroni by the REST interfaces of its members, with probes and metrics on port 8080',
    },
    {
      command:
        'follow webscaler-db -e cnpg --cluster east=db/webscaler --cluster west=db/webscaler@/etc/clusters/west.yaml ' +
        '-t east=east-db.example.com -t west=west-db.example.com --user follower --dry-run',
      does: 'only tell what would be done for CloudNativePG across two Kubernetes clusters',
    },
  ],
  async run(context) {
    const { options, output, signal } = context;
    const place = options.health === undefined ? undefined : healthPlace(options.health);
    await using following = await followingOf(context);
    signal.throwIfAborted();
    const live = new Live(output);
    await using follower = followEngine(following.options);
    const show = () => live.rows(statusRows(follower.status()));
    const endTelling = tellEvents(output, live, show);
    const clock = output.interactive && output.isText ? setInterval(show, 1_000) : undefined;
    try {
      await using server = place === undefined ? undefined : await serveHealth(place, follower);
      if (server !== undefined) output.warn(`/healthz, /readyz and /metrics are served on port ${server.port}`);
      // Only the signal ends it.
      return await abortable(new Promise<never>(() => {}), signal);
    } finally {
      clearInterval(clock);
      await follower.close();
      endTelling();
      live.end();
    }
  },
});
