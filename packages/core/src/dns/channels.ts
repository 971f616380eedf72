import { EventChannel } from '../events/index.ts';
import type { Resolution } from './resolution.ts';

/** One query to one server is over. See {@link dnsQueryChannel}. */
export interface DnsQueryEvent {
  readonly name: string;
  readonly type: 'A' | 'AAAA' | 'CNAME';
  /** `address:port` */
  readonly server: string;
  readonly elapsedMillis: number;
  /** The code of the answer (`NOERROR`, `NXDOMAIN`, ...), `timeout` or `network`. */
  readonly result: string;
}

/** Published as `externalname:dns:query` after each query to a server. */
export const dnsQueryChannel = new EventChannel<DnsQueryEvent>('externalname:dns:query');

/** What a name stands for is no longer what it stood for when it was last asked. */
export interface DnsChangeEvent {
  readonly name: string;
  readonly before: Resolution;
  readonly after: Resolution;
}

/**
 * Published as `externalname:dns:addresses-changed` when a name has other addresses than when the servers were last asked, by the same
 * chain of aliases. Their order does not count: many servers rotate it.
 */
export const dnsAddressesChangedChannel = new EventChannel<DnsChangeEvent>('externalname:dns:addresses-changed');

/** Published as `externalname:dns:chain-changed` when a name leads to other names than when the servers were last asked. */
export const dnsChainChangedChannel = new EventChannel<DnsChangeEvent>('externalname:dns:chain-changed');
