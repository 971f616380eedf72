import type * as pg from 'pg';

/**
 * Makes a client without a password search its password file (PostgreSQL documentation, "The Password File") for these
 * hosts, one after the other. `pg` reads the file and looks for the host that the client is connected to: that is the target, but
 * users write the Service's name into the file, as for psql.
 */
export function searchPasswordFileFor(client: pg.Client, hosts: readonly string[]): void {
  const searching = client as unknown as SearchingClient;
  // `pg` calls a function with the target's parameters: a token may be for that host only.
  if (searching.password !== null) return;
  // The method of its class: its own may come from an earlier attempt.
  const original = (Object.getPrototypeOf(client) as SearchingClient)._getPassword;
  if (original === undefined) return;
  searching._getPassword = function (this: SearchingClient, callback) {
    // It was found before.
    if (this.password !== null) {
      original.call(this, callback);
      return;
    }
    const search = ([host, ...others]: readonly string[]): void => {
      if (host === undefined) {
        callback();
        return;
      }
      const view = viewWithHost(this, host);
      original.call(view, () => {
        if (typeof view.password !== 'string') {
          search(others);
          return;
        }
        this.password = view.password;
        this.connectionParameters.password = view.password;
        callback();
      });
    };
    search([...new Set(hosts)]);
  };
}

// To everything else, the client shows its target.
function viewWithHost(client: SearchingClient, host: string): SearchingClient {
  const connectionParameters = Object.create(client.connectionParameters, { host: { value: host } });
  return Object.create(client, {
    connectionParameters: { value: connectionParameters },
    password: { value: null, writable: true },
    emit: { value: client.emit.bind(client) },
  });
}

interface SearchingClient extends NodeJS.EventEmitter {
  password: unknown;
  readonly connectionParameters: { password: unknown };
  _getPassword?(callback: () => void): void;
}
