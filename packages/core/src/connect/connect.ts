import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { withDeadline } from '../deadline.ts';
import { DeadlineError } from '../errors.ts';
import type { Target } from '../targets/index.ts';
import { TargetRetiredError } from './errors.ts';
import { type ConnectOptions, type ConnectTlsOptions, connectSettings } from './options.ts';
import { ServiceConnector } from './service-connector.ts';
import { recordOutcome } from './socket-failure.ts';

/**
 * Opens a TCP socket to the host that an ExternalName Service points to, for any protocol. It checks only the policy, not the server's
 * identity: use {@link connectTls} unless the protocol begins in plain text and starts TLS by itself.
 *
 * While the socket is open, it follows the Service; see `onSwitch`.
 *
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT`, AllowListRequiredError `ERR_EXTERNALNAME_ALLOW_LIST_REQUIRED`:
 * before any I/O
 * @throws TargetRefusedError, AddressRefusedError, ResolutionError, NoEndpointError, ConnectTimeoutError, DeadlineError: no socket is
 * left open, and nothing was sent
 *
 * @example
 * ```ts
 * const socket = await connect({ service: 'webscaler-cache', port: 6379, allowedTargets: ['cache-a.example.com', 'cache-b.example.com'] });
 * ```
 */
export async function connect(options: ConnectOptions): Promise<Socket> {
  return await open(options, false);
}

/**
 * Opens a TLS socket to the host that an ExternalName Service points to, for any protocol: MQTT, Redis, AMQP, SMTP. The server has proved
 * by its certificate that it is that host, which is also the name in SNI.
 *
 * While the socket is open, it follows the Service; see `onSwitch`.
 *
 * @throws as {@link connect}, and TlsIdentityError `ERR_EXTERNALNAME_TLS_IDENTITY` for a certificate for another name; for an
 * untrusted certificate, an error with the code of OpenSSL (`CERT_HAS_EXPIRED`, `DEPTH_ZERO_SELF_SIGNED_CERT`, ...)
 *
 * @example
 * ```ts
 * const socket = await connectTls({ service: 'webscaler-queue', port: 8883, allowedTargets: ['queue-a.example.com', 'queue-b.example.com'] });
 * ```
 */
export async function connectTls(options: ConnectTlsOptions): Promise<TLSSocket> {
  return (await open(options, true)) as TLSSocket;
}

async function open(options: ConnectTlsOptions, isSecure: boolean): Promise<Socket> {
  const settings = connectSettings(options, isSecure);
  const { port, tls, signal, timeoutMillis = 10_000, onSwitch = 'close' } = options;
  let opened: { socket: Socket; target: Target } | undefined;
  const connector = new ServiceConnector(settings, (target, previous) => {
    if (opened === undefined || onSwitch === 'keep') return;
    if (typeof onSwitch === 'function') onSwitch(target);
    else opened.socket.destroy(new TargetRetiredError(previous.externalName, 'unknown'));
  });
  try {
    const { socket } = await withDeadline(
      async (inner) => {
        opened = await connector.openCurrent({ port, tls: isSecure ? (tls ?? {}) : undefined }, inner);
        // If the deadline has passed in the meantime, no caller will use the socket.
        if (inner.aborted) opened.socket.destroy();
        return opened;
      },
      {
        signal,
        timeoutMillis,
        onTimeout: () => new DeadlineError(`connecting through ${options.service}`, timeoutMillis),
      },
    );
    socket.once('close', () => closeQuietly(connector));
    return socket;
  } catch (error) {
    closeQuietly(connector);
    recordOutcome(error, 'not-executed');
    throw error;
  }
}

function closeQuietly(connector: ServiceConnector): void {
  // Never rejects.
  connector.close().catch(() => undefined);
}
