import { isIP } from 'node:net';
import { parseAddress } from '@externalname/core/internal';
import { type ClusterView, endpointLabel, isHeadless, type PortEntry } from './cluster-view.ts';
import {
  type DnsAnswer,
  type DnsQuestion,
  type DnsRecord,
  emptyAnswer,
  fullyQualified,
  isSubdomain,
  joinName,
  type Lookup,
  labelsOf,
} from './message.ts';
import { addressOfReverseName, isReverseName } from './reverse-name.ts';
import { parseServiceName } from './service-name.ts';

/** How a cluster's zone is set up: the options of CoreDNS's `kubernetes` plugin that change answers. */
export interface ClusterZoneSettings {
  /** The cluster domain, fully qualified: `cluster.local.` */
  readonly zone: string;
  /** TTL of all records of the zone, in seconds, 0 to 3600. */
  readonly ttl: number;
  /** The zone of the multi-cluster services API, in addition. */
  readonly multiclusterZone?: string | undefined;
  /** The only namespaces whose names exist; all if it is left out. */
  readonly namespaces?: readonly string[] | undefined;
  /** Services without endpoints do not exist (`ignore empty_service`). Headless and ExternalName Services do. */
  readonly ignoreEmptyService?: boolean | undefined;
  /** `pods insecure`: any `1-2-3-4.<namespace>.pod` has the address it spells. @defaultValue `disabled` */
  readonly pods?: 'disabled' | 'insecure' | undefined;
  /** Whether `in-addr.arpa` and `ip6.arpa` are answered for addresses of the cluster. */
  readonly reverse?: boolean | undefined;
  /** The addresses of `ns.dns.<zone>`. */
  readonly nameservers: readonly string[];
}

/**
 * Answers a question about the cluster's zone from its Services, as CoreDNS's `kubernetes` plugin does.
 * Returns `'elsewhere'` if the name is not in the zone.
 *
 * `lookup` is asked for targets outside the zone. It goes through the whole server again, and its response code is
 * dropped on the way: a client sees NOERROR and the bare CNAME if the target does not exist, and also if its server did not answer.
 *
 * Source: CoreDNS 1.14 `plugin/kubernetes/handler.go`, `plugin/backend_lookup.go`; Kubernetes DNS specification 1.1.0.
 */
export async function answerFromCluster(
  question: DnsQuestion,
  view: ClusterView,
  settings: ClusterZoneSettings,
  lookup: Lookup,
): Promise<DnsAnswer | 'elsewhere'> {
  const zone = zoneOf(question.name, settings);
  if (zone === undefined) return 'elsewhere';
  const context: Context = { zone, view, settings, lookup };
  if (question.type === 'AXFR' || question.type === 'IXFR')
    return { ...emptyAnswer('REFUSED'), recursionAvailable: false };

  const found = await records(question, context);
  if (found === 'no such name') {
    if (isReverseZone(zone)) return 'elsewhere';
    return withoutRecords(view.synced ? 'NXDOMAIN' : 'SERVFAIL', context);
  }
  if (found.answer.length === 0) return withoutRecords('NOERROR', context);
  return {
    ...emptyAnswer('NOERROR'),
    ...found,
    authoritative: true,
    recursionAvailable: false,
  };
}

interface Context {
  /** The zone as the question spells it. */
  readonly zone: string;
  readonly view: ClusterView;
  readonly settings: ClusterZoneSettings;
  readonly lookup: Lookup;
}

interface Found {
  readonly answer: readonly DnsRecord[];
  readonly additional?: readonly DnsRecord[];
  readonly truncated?: boolean;
}

/** The source of one record: where a Service or one of its endpoints is. CoreDNS calls this a service, too. */
interface Location {
  /** An address, or a name for an ExternalName Service. */
  readonly host: string;
  readonly port: number;
  /** Full name of the Service or endpoint. */
  readonly name: string;
}

async function records(question: DnsQuestion, context: Context): Promise<Found | 'no such name'> {
  const { zone, settings, view } = context;
  const atApex = question.name.length === zone.length;
  switch (question.type) {
    case 'A':
    case 'AAAA':
      return addresses(question, [], context);
    case 'CNAME': {
      const found = locations(question, context);
      if (found === 'no such name') return found;
      const [first] = found;
      return { answer: first && isIpForGo(first.host) === 0 ? [alias(question.name, first.host, settings.ttl)] : [] };
    }
    case 'TXT':
      return texts(question, context);
    case 'SRV':
      return serviceLocations(question, context);
    case 'PTR':
      return pointers(question, context);
    case 'MX': {
      // No Service is a mail exchange; the name alone decides between "no data" and "no such name".
      const found = locations(question, context);
      return found === 'no such name' ? found : { answer: [] };
    }
    case 'SOA':
      return { answer: atApex ? [startOfAuthority({ zone, view, settings })] : [] };
    case 'NS':
      if (atApex) return nameservers(question, context);
      break;
  }
  // A hidden lookup tells "no data" from "no such name". Its result is thrown away, but it does ask upstream.
  const hidden = await addresses({ name: question.name, type: 'A' }, [], context);
  return hidden === 'no such name' ? hidden : { answer: [] };
}

async function addresses(
  question: DnsQuestion,
  passed: readonly DnsRecord[],
  context: Context,
): Promise<Found | 'no such name'> {
  const found = locations(question, context);
  if (found === 'no such name') return found;
  const family = question.type === 'A' ? 4 : 6;
  const seen = new Set<string>();
  const answer: DnsRecord[] = [];
  let truncated = false;

  for (const location of found) {
    const version = isIpForGo(location.host);
    if (version !== 0) {
      if (version !== family || seen.has(location.host)) continue;
      seen.add(location.host);
      answer.push(addressRecord(question.name, context.settings.ttl, location.host));
      continue;
    }
    const target = fullyQualified(location.host);
    // A target at or below the name itself counts as a loop; so does one that was passed before, compared as spelt.
    if (isSubdomain(question.name, target)) continue;
    if (passed.length > longestChain || passed.some((record) => record.data === target)) continue;
    const step = alias(question.name, target, context.settings.ttl);

    if (isSubdomain(context.zone, target)) {
      const next = await addresses({ name: target, type: question.type }, [...passed, step], context);
      // Without an address at its end the alias is left out, so that the whole answer is "no data" (coredns#6088).
      if (next !== 'no such name') {
        if (next.answer.length > 0) answer.push(step, ...next.answer);
        truncated ||= next.truncated === true;
      }
      continue;
    }
    const outside = await context.lookup({ name: target, type: question.type });
    if (outside === undefined) continue;
    truncated ||= outside.truncated;
    answer.push(step, ...outside.answer);
  }
  return { answer, truncated };
}

function texts(question: DnsQuestion, context: Context): Found | 'no such name' {
  const own = labelsOf(question.name).slice(0, -labelsOf(context.zone).length);
  if (own.length === 1 && own[0]?.toLowerCase() === 'dns-version') {
    return { answer: [{ name: question.name, type: 'TXT', ttl: 28_800, data: [specificationVersion] }] };
  }
  // Names that exist only for what is below them do not exist for TXT: the plugin looks for a Service and finds none.
  const found = locations(question, context, { nameservers: false });
  return found === 'no such name' || found.length === 0 ? 'no such name' : { answer: [] };
}

async function serviceLocations(question: DnsQuestion, context: Context): Promise<Found | 'no such name'> {
  const found = locations(question, context);
  if (found === 'no such name') return found;
  // An ExternalName Service has no SRV records, whatever its spec.ports says.
  const usable = found.filter((location) => isIpForGo(location.host) !== 0);
  const weight = Math.max(1, Math.floor((100 / (usable.length * 100)) * 100));
  const answer = new Map<string, DnsRecord>();
  const additional = new Map<string, DnsRecord>();
  const { ttl } = context.settings;
  for (const { host, port, name } of usable) {
    if (port === noPort) continue;
    answer.set(`${name} ${port}`, {
      name: question.name,
      type: 'SRV',
      ttl,
      data: { priority: 0, weight, port, target: name },
    });
    additional.set(`${name} ${host}`, addressRecord(name, ttl, host));
  }
  return { answer: [...answer.values()], additional: [...additional.values()] };
}

function pointers(question: DnsQuestion, context: Context): Found | 'no such name' {
  const address = addressOfReverseName(question.name);
  if (address === undefined) {
    const found = locations(question, context, { nameservers: false });
    return found === 'no such name' ? found : { answer: [] };
  }
  const { view, settings } = context;
  const names: string[] = [];
  const service = view.serviceByAddress(address);
  if (service !== undefined && isListed(service.namespace, settings)) {
    names.push(fullNameOf(service, settings.zone));
  } else {
    for (const slice of view.endpointsByAddress(address)) {
      if (!isListed(slice.namespace, settings)) continue;
      for (const endpoint of slice.addresses) {
        if (endpoint.address !== address) continue;
        names.push(
          `${endpointLabel(endpoint)}.${fullNameOf({ namespace: slice.namespace, name: slice.service }, settings.zone)}`,
        );
      }
    }
  }
  if (names.length === 0) return 'no such name';
  return {
    answer: [...new Set(names)].map((data) => ({ name: question.name, type: 'PTR' as const, ttl: settings.ttl, data })),
  };
}

function nameservers(question: DnsQuestion, { settings }: Context): Found {
  if (settings.nameservers.length === 0) return { answer: [] };
  const name = joinName('ns.dns', question.name);
  return {
    answer: [{ name: question.name, type: 'NS', ttl: settings.ttl, data: name }],
    additional: settings.nameservers.map((address) => addressRecord(name, settings.ttl, address)),
  };
}

/** Where the name leads, without looking further. An empty list means that the name exists and has no records. */
function locations(
  question: DnsQuestion,
  context: Context,
  options: { nameservers: boolean } = { nameservers: true },
): readonly Location[] | 'no such name' {
  const { zone, view, settings } = context;
  if (options.nameservers && question.name.toLowerCase() === joinName('ns.dns', zone).toLowerCase()) {
    return settings.nameservers.map((host) => ({ host, port: noPort, name: question.name }));
  }
  const multicluster =
    settings.multiclusterZone !== undefined && zone.toLowerCase() === settings.multiclusterZone.toLowerCase();
  const asked = parseServiceName(question.name, zone, { multicluster });
  if (asked.kind === 'branch') return [];
  if (asked.kind === 'invalid' || isReverseName(question.name)) return 'no such name';
  if (!isExposed(asked.namespace, context)) return 'no such name';
  if (asked.of === 'pod' && settings.pods !== 'insecure') return 'no such name';
  if (asked.kind === 'namespace') return [];
  if (asked.of === 'pod') {
    const spelt = spelledAddress(asked.name);
    return spelt === undefined ? 'no such name' : [{ host: spelt, port: 0, name: question.name }];
  }
  // The zone of the multi-cluster API is for ServiceImports, and there are none.
  const service = multicluster ? undefined : view.service(asked.namespace, asked.name);
  if (service === undefined) return 'no such name';
  const name = fullNameOf(service, zone);

  if (service.type === 'ExternalName') {
    // Nothing is below an ExternalName Service. (`_._.` strips to two empty labels, which the plugin takes for none.)
    const below = [asked.endpoint, asked.port, asked.protocol].some((label) => label !== undefined && label !== '');
    // An address in externalName is skipped on purpose (coredns#2324).
    if (below || isIpForGo(service.externalName) !== 0) return 'no such name';
    return [{ host: service.externalName, port: 0, name }];
  }

  const slices = view.endpoints(service.namespace, service.name);
  if (settings.ignoreEmptyService && !isHeadless(service) && slices.every((slice) => slice.addresses.length === 0)) {
    return 'no such name';
  }
  if (isHeadless(service) || asked.endpoint !== undefined) {
    const found = slices.flatMap((slice) =>
      slice.addresses
        .filter((endpoint) => asked.endpoint === undefined || equal(asked.endpoint, endpointLabel(endpoint)))
        .flatMap((endpoint) =>
          portsOf(slice.ports)
            .filter((port) => matches(asked, port))
            .map((port) => ({
              host: endpoint.address,
              port: port.port,
              name: `${endpointLabel(endpoint)}.${name}`,
            })),
        ),
    );
    return found.length === 0 ? 'no such name' : found;
  }
  const ports = portsOf(service.ports).filter((port) => matches(asked, port));
  if (ports.length === 0) return 'no such name';
  return ports.flatMap((port) => service.clusterIPs.map((host) => ({ host, port: port.port, name })));
}

function matches(asked: { port?: string; protocol?: string }, port: PortEntry): boolean {
  const byName = asked.port === undefined || asked.port === '' || equal(asked.port, port.name);
  return byName && (asked.protocol === undefined || asked.protocol === '' || equal(asked.protocol, port.protocol));
}

/** A Service without ports still has addresses. */
function portsOf(ports: readonly PortEntry[]): readonly PortEntry[] {
  return ports.length === 0 ? [{ name: '', protocol: '', port: noPort }] : ports;
}

function equal(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}

function isListed(namespace: string, settings: ClusterZoneSettings): boolean {
  return (
    settings.namespaces === undefined || settings.namespaces.length === 0 || settings.namespaces.includes(namespace)
  );
}

function isExposed(namespace: string, { view, settings }: Pick<Context, 'view' | 'settings'>): boolean {
  return isListed(namespace, settings) && view.hasNamespace(namespace);
}

/** The longest zone that the name is in, spelt as the name spells it. */
function zoneOf(name: string, settings: ClusterZoneSettings): string | undefined {
  const zones = [settings.zone, ...(settings.multiclusterZone === undefined ? [] : [settings.multiclusterZone])];
  if (settings.reverse) zones.push(...reverseZones);
  let longest = '';
  for (const zone of zones) if (isSubdomain(zone, name) && zone.length > longest.length) longest = zone;
  return longest === '' ? undefined : name.slice(name.length - longest.length);
}

function isReverseZone(zone: string): boolean {
  return reverseZones.includes(zone.toLowerCase());
}

function withoutRecords(rcode: DnsAnswer['rcode'], context: Context): DnsAnswer {
  return {
    ...emptyAnswer(rcode),
    authoritative: true,
    recursionAvailable: false,
    authority: [startOfAuthority(context)],
  };
}

function startOfAuthority({ zone, view, settings }: Pick<Context, 'zone' | 'view' | 'settings'>): DnsRecord {
  return {
    name: zone,
    type: 'SOA',
    // The record itself is kept 300 seconds at most; how long "no such name" is kept is the minimum (RFC 2308 section 5).
    ttl: Math.min(settings.ttl, 300),
    data: {
      mname: joinName('ns.dns', zone),
      rname: joinName('hostmaster', zone),
      serial: view.serial,
      refresh: 7200,
      retry: 1800,
      expire: 86_400,
      minimum: settings.ttl,
    },
  };
}

function fullNameOf(service: { readonly namespace: string; readonly name: string }, zone: string): string {
  return `${service.name}.${service.namespace}.svc.${zone}`;
}

function alias(name: string, target: string, ttl: number): DnsRecord & { readonly type: 'CNAME' } {
  return { name, type: 'CNAME', ttl, data: fullyQualified(target) };
}

function addressRecord(name: string, ttl: number, address: string): DnsRecord {
  return { name, type: isIP(address) === 4 ? 'A' : 'AAAA', ttl, data: address };
}

/** `10-0-0-1` is 10.0.0.1, and `fd00--1` is fd00::1. */
function spelledAddress(label: string): string | undefined {
  const v4 = /^[^-]+-[^-]+-[^-]+-[^-]+$/.test(label);
  const address = label.replaceAll('-', v4 ? '.' : ':');
  return isIpForGo(address) === 0 ? undefined : address;
}

/** Which IP version Go's net.ParseIP() reads the text as, or 0: no zone, no leading zeros, no trailing dot. */
function isIpForGo(text: string): number {
  return text.includes('%') ? 0 : (parseAddress(text)?.family ?? 0);
}

const reverseZones: readonly string[] = ['in-addr.arpa.', 'ip6.arpa.'];

// CoreDNS follows a chain until it has passed more aliases than this (maxCnameChainLength, since 1.12.1).
const longestChain = 10;

// Means that the Service declares no port (CoreDNS uses the same number).
const noPort = -1;

const specificationVersion = '1.1.0';
