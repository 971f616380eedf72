import { lookup as systemLookup } from 'node:dns';
import { isIP, type LookupFunction, type Socket } from 'node:net';
import { connect as connectTls, type SecureContextOptions } from 'node:tls';
import { aFunction, aNumber, anything, checkOptions, oneOf, optional } from '@externalname/core/internal';
import { askForTls, openSocket } from './open-socket.ts';
import type { Probe } from './probe.ts';

/** Common to the probes of the network. */
export interface NetworkProbeOptions {
  /** Resolves names; `createLookup()` of core makes one. @defaultValue the system's */
  lookup?: LookupFunction | undefined;
}

/** Checks that the name has addresses. */
export function resolvesProbe(options: NetworkProbeOptions = {}): Probe {
  checkOptions(options, { lookup: optional(aFunction) });
  const lookup = options.lookup ?? (systemLookup as LookupFunction);
  return {
    name: 'resolves',
    run: (host, { signal }) =>
      new Promise((resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason), { once: true });
        lookup(host, { all: true }, (error, found) => {
          if (error !== null) return reject(error);
          const addresses = (Array.isArray(found) ? found : [{ address: found }]).map(({ address }) => address);
          resolve({ ok: addresses.length > 0, detail: `resolves to ${addresses.join(', ') || 'nothing'}` });
        });
      }),
  };
}

/** See {@link tcpProbe}. */
export interface TcpProbeOptions extends NetworkProbeOptions {
  /** The port to connect to. */
  port: number;
}

/** Checks that the port accepts TCP connections. */
export function tcpProbe(options: TcpProbeOptions): Probe {
  checkOptions(options, tcpShapes);
  return {
    name: `tcp ${options.port}`,
    async run(host, { signal }) {
      const socket = await openSocket(host, options, signal);
      const detail = `port ${options.port} of ${socket.remoteAddress ?? host} accepts connections`;
      socket.destroy();
      return { ok: true, detail };
    },
  };
}

/** See {@link tlsProbe}. */
export interface TlsProbeOptions extends TcpProbeOptions {
  /** PEM certificates to trust. @defaultValue the ones that Node.js trusts */
  ca?: SecureContextOptions['ca'];
  /** `postgres` asks for TLS in PostgreSQL's own way first (SSLRequest). @defaultValue `tls` */
  protocol?: 'tls' | 'postgres' | undefined;
}

/** Checks that the server has a valid certificate for the target's own name. */
export function tlsProbe(options: TlsProbeOptions): Probe {
  checkOptions(options, { ...tcpShapes, ca: anything, protocol: optional(oneOf('tls', 'postgres')) });
  return {
    name: `tls ${options.port}`,
    async run(host, { signal }) {
      const socket = await openSocket(host, options, signal);
      try {
        if (options.protocol === 'postgres') await askForTls(socket, signal);
        return await verifyCertificate(socket, host, options, signal);
      } finally {
        socket.destroy();
      }
    },
  };
}

const tcpShapes = { port: aNumber({ least: 1, most: 65_535, whole: true }), lookup: optional(aFunction) };

function verifyCertificate(socket: Socket, host: string, { ca }: TlsProbeOptions, signal: AbortSignal) {
  return new Promise<{ ok: boolean; detail: string }>((resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
    // SNI cannot carry an address (RFC 6066 section 3).
    const servername = isIP(host) === 0 ? host : '';
    // Explicit, because NODE_TLS_REJECT_UNAUTHORIZED=0 would accept any certificate as verified.
    const secure = connectTls({ socket, host, servername, rejectUnauthorized: true, ...(ca !== undefined && { ca }) });
    secure.once('error', reject);
    secure.once('close', () => reject(new Error('the server closed the connection during the TLS handshake')));
    secure.once('secureConnect', () => {
      const { subjectaltname = '' } = secure.getPeerCertificate();
      resolve({ ok: true, detail: `certificate verified for ${host} (${subjectaltname})` });
      secure.destroy();
    });
  });
}
