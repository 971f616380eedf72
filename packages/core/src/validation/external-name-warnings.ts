import {
  type Address,
  endsInNumber,
  parseApiAddress,
  parseApiNetwork,
  parseLooseIpv4,
  purposeNames,
  specialRange,
} from '../addresses/index.ts';
import { isWithin, longestLabel, matchesTargetPattern, type TargetPattern } from '../names/index.ts';
import { addressObjects, toYaml } from '../objects/index.ts';
import type { FieldPath, Findings } from './issue.ts';
import type { DecodedService } from './service-object.ts';
import { warnOfSpecial, withoutTrailingDot } from './service-rules.ts';

/** What the target of an ExternalName Service is looked at against. */
export interface TargetContext {
  /** Undefined: no list was given, every target passes. */
  readonly allowed: readonly TargetPattern[] | undefined;
  readonly allowedText: string;
  readonly clusterDomain: string;
  readonly namespace: string;
}

/** Warns of targets that the API server takes, or refuses without saying why, and that will not work or should not be. */
export function warnOfTarget(service: DecodedService, at: FieldPath, context: TargetContext, findings: Findings): void {
  const { externalName } = service.spec;
  const name = withoutTrailingDot(externalName.trim().toLowerCase());
  if (name === '') return;
  if (/^[a-z0-9-]+$/.test(name)) {
    const message = `${shown(name)} is looked up as it stands, as a top-level domain: no search list is applied to the target of a CNAME`;
    findings.warn('single-label', at, message);
  }
  const text = externalName.trim();
  const url = parseApiNetwork(text) ? undefined : urlParts(text);
  if (url) warnOfUrl(url, at, findings);
  const address = readAddress(url ? url.host : text);
  if (address) warnOfAddress(service, url ? { ...address, refused: true } : address, externalName, at, findings);
  else if (!url) warnOfName(service, name, at, context, findings);
  if (context.allowed && !matchesTargetPattern(name, context.allowed)) {
    findings.warn(
      'target-not-allowed',
      at,
      `${shown(name)} is not on the allow-list (${context.allowedText || 'which is empty'})`,
    );
  }
}

type Reading = { readonly refused?: boolean } /** Go takes it for an address, and so does CoreDNS. */ & (
  | { readonly as: 'address'; readonly address: Address }
  /** The C library and URL parsers do; for CoreDNS it is a name. */
  | { readonly as: 'loose'; readonly address: Address }
  /** For everybody a name, and URL parsers refuse it. */
  | { readonly as: 'digits' }
  | { readonly as: 'network'; readonly address: Address }
);

/** Any spelling that a resolver or an URL parser would take for an address, alone or with a port, brackets or a zone. */
function readAddress(text: string): Reading | undefined {
  if (text.length > 300) return undefined;
  const strict = parseApiAddress(text);
  if (strict && strict.nonStandard !== 'leading-zeros') return { as: 'address', address: strict };
  const network = parseApiNetwork(text);
  if (network) return { as: 'network', address: network.address };
  const bracketed = /^\[([^\]%]*)(?:%[^\]]*)?\](?::\d+)?$/.exec(text)?.[1];
  const zoned = /^([0-9a-f:.]+)%[^%]+$/i.exec(text)?.[1];
  for (const inner of [bracketed, zoned]) {
    const found = inner === undefined ? undefined : (parseApiAddress(inner) ?? parseLooseIpv4(inner));
    if (found) return { as: 'address', address: found };
  }
  const bare = withoutTrailingDot(text.toLowerCase());
  const loose = parseLooseIpv4(bare) ?? parseApiAddress(bare);
  if (loose) return { as: 'loose', address: loose };
  // A last label of digits: no top-level domain has one (RFC 3696 section 2), and URL parsers fail on it.
  return endsInNumber(bare) ? { as: 'digits' } : undefined;
}

function warnOfAddress(
  service: DecodedService,
  reading: Reading,
  text: string,
  at: FieldPath,
  findings: Findings,
): void {
  if (reading.as === 'digits') {
    if (reading.refused) return;
    const message = `${shown(text)} ends in a number: CoreDNS answers with a CNAME to that text, which no DNS has, and URL parsers refuse it`;
    findings.warn('ip-like', at, message, 'Give the full host name.');
    return;
  }
  const { address } = reading;
  const plain = reading.as === 'address' && parseApiAddress(text)?.family === 4 && !text.includes(':');
  const answer = plain
    ? 'CoreDNS answers NXDOMAIN to every question for the Service'
    : reading.as === 'loose' && !reading.refused
      ? `CoreDNS answers with a CNAME to that text, which no DNS has; a resolver of the C library or an URL parser takes it for ${address.canonical}`
      : `the API server takes no such text in this field`;
  findings.warn('ip-like', at, `${shown(text)} is an address and no name: ${answer}`, alternative(service, address));
  warnOfSpecial(address, at, findings);
}

/** What does work for an address, ready to paste. */
function alternative(service: DecodedService, address: Address): string {
  const { meta, spec } = service;
  const { purpose } = specialRange(address) ?? {};
  if (purpose !== undefined) {
    return `An EndpointSlice does not help: ${address.canonical} is ${purposeNames[purpose]}. Give the address or name of the host that is meant.`;
  }
  const metadata = { name: meta.name || 'name', ...(meta.namespace === '' ? {} : { namespace: meta.namespace }) };
  const usable = spec.ports.filter(({ port }) => port >= 1 && port <= 65_535);
  const ports = usable.slice(0, 10).map((port) => ({
    ...(port.name === '' ? {} : { name: port.name }),
    port: port.port,
    ...(typeof port.targetPort === 'number' && port.targetPort !== port.port ? { targetPort: port.targetPort } : {}),
  }));
  const objects = addressObjects({
    metadata,
    ports,
    headless: ports.length === 0,
    endpoints: [{ address: address.canonical, family: address.family }],
  });
  return `Use a Service without selector and an EndpointSlice instead:\n${toYaml(objects)}`;
}

interface UrlParts {
  readonly scheme: string;
  readonly credentials: boolean;
  readonly host: string;
  readonly port: string | undefined;
  readonly path: string | undefined;
}

/** The parts of an URL, or of one without its scheme. Undefined where there is nothing but a host. */
function urlParts(text: string): UrlParts | undefined {
  const scheme = /^([a-z][a-z0-9+.-]{0,30}):\/\//i.exec(text)?.[0] ?? '';
  const rest = text.slice(scheme.length);
  const match = /^([^@/?#\s]{0,300}@)?([a-z0-9._-]{1,253}|\[[0-9a-f:.%]{2,60}\])(?::(\d{1,5}))?([/?#].*)?$/is.exec(
    rest,
  );
  if (!match) return undefined;
  const [, credentials, host = '', port, path] = match;
  if (scheme === '' && credentials === undefined && port === undefined && path === undefined) return undefined;
  return { scheme, credentials: credentials !== undefined, host, port, path };
}

function warnOfUrl({ scheme, credentials, host, port, path }: UrlParts, at: FieldPath, findings: Findings): void {
  const hint = `Write externalName: ${withoutTrailingDot(host.toLowerCase())}`;
  if (scheme !== '') {
    findings.warn('scheme-in-name', at, `${shown(scheme)} is the scheme of an URL, and no part of a host name`, hint);
  }
  if (credentials) {
    findings.warn('scheme-in-name', at, 'what stands before @ are credentials, and no part of a host name', hint);
  }
  if (port !== undefined) {
    const stays = `${hint}. The port stays with the application.`;
    findings.warn('port-in-name', at, `:${port} is a port, and no part of a host name`, stays);
  }
  if (path !== undefined) {
    findings.warn('path-in-name', at, `${shown(path)} is the path of an URL, and no part of a host name`, hint);
  }
}

function warnOfName(
  service: DecodedService,
  name: string,
  at: FieldPath,
  context: TargetContext,
  findings: Findings,
): void {
  const labels = name.split('.');
  const long = labels.find((label) => label.length > longestLabel);
  if (long !== undefined) {
    findings.warn(
      'label-too-long',
      at,
      `the label ${shown(long)} has ${long.length} characters: no DNS message can carry it, clients run into a time-out`,
    );
  }
  const last = labels.at(-1) ?? '';
  if (
    last === 'localhost' ||
    loopbackNames.has(name) ||
    [...loopbackDomains].some((domain) => isWithin(name, domain))
  ) {
    findings.warn(
      'loopback',
      at,
      `${shown(name)} is a name of the loopback address: whoever asks is pointed at itself`,
    );
    return;
  }
  if (metadataNames.has(name)) {
    findings.warn('sensitive', at, `${shown(name)} is where a cloud serves credentials to its machines`);
    return;
  }
  const embedded = embeddedAddress(name);
  if (embedded) {
    findings.warn(
      'ip-like',
      at,
      `${shown(name)} is a public name for the address ${embedded.canonical}: whoever runs that domain decides where it leads`,
      alternative(service, embedded),
    );
  }
  if (isWithin(name, context.clusterDomain)) warnOfCluster(service, name, at, context, findings);
  else warnOfSuffix(name, labels, at, findings);
}

function warnOfCluster(
  service: DecodedService,
  name: string,
  at: FieldPath,
  context: TargetContext,
  findings: Findings,
): void {
  const own = `${service.meta.name}.${context.namespace}.svc.${context.clusterDomain}`;
  if (service.meta.name !== '' && isWithin(name, own)) {
    const message = name === own ? 'the Service points at itself' : `${shown(name)} lies below the Service's own name`;
    findings.warn('self-loop', at, `${message}: CoreDNS answers without a CNAME and without addresses`);
    return;
  }
  findings.warn(
    'in-cluster',
    at,
    `${shown(name)} is a name of the cluster: CoreDNS answers without a CNAME while that name has no address`,
  );
  const parts = name.slice(0, -context.clusterDomain.length - 1).split('.');
  const namespace = parts.at(-1) === 'svc' ? parts.at(-2) : undefined;
  if (namespace !== undefined && namespace !== context.namespace) {
    findings.warn(
      'cross-namespace',
      at,
      `the target is in namespace ${shown(namespace)}, the Service in ${shown(context.namespace)}`,
    );
  }
  if (parts.at(-3) === 'kubernetes' && namespace === 'default') {
    findings.warn('sensitive', at, `${shown(name)} is the API server`);
  }
}

function warnOfSuffix(name: string, labels: readonly string[], at: FieldPath, findings: Findings): void {
  if (labels.length > 1 && (labels.at(-1) === 'svc' || (labels.length > 2 && labels.at(-2) === 'svc'))) {
    findings.warn(
      'in-cluster-partial',
      at,
      `${shown(name)} looks like a part of a Service's name: it is asked for as it stands, outside of the cluster`,
    );
    return;
  }
  if (reservedDomains.some((domain) => isWithin(name, domain))) {
    findings.warn('reserved-suffix', at, `${shown(name)} is under a name that is reserved: no DNS server has it`);
    return;
  }
  if (labels.length > 1 && privateDomains.some((domain) => isWithin(name, domain))) {
    findings.warn(
      'private-suffix',
      at,
      `${shown(name)} is under a name for private use: only a DNS server of your own can have it`,
    );
  }
}

/** Names of the loopback address in `/etc/hosts` of common systems. */
const loopbackNames = new Set([
  'localhost.localdomain',
  'localhost4',
  'localhost4.localdomain4',
  'localhost6',
  'localhost6.localdomain6',
  'ip6-localhost',
  'ip6-loopback',
]);

/** Public domains in which every name is 127.0.0.1. */
const loopbackDomains = new Set(['localtest.me', 'lvh.me', 'vcap.me', 'lacolhost.com', 'localho.st']);

/** Names of metadata servers: Google, AWS, Azure and Alibaba. */
const metadataNames = new Set([
  'metadata',
  'metadata.google.internal',
  'metadata.goog',
  'instance-data',
  'instance-data.ec2.internal',
  'metadata.azure.internal',
  'metadata.tencentyun.com',
]);

/** RFC 2606 section 2, RFC 6761, RFC 7686, RFC 9476. */
const reservedDomains = ['test', 'example', 'invalid', 'onion', 'alt'];

/** RFC 6762 (local and appendix G), RFC 8375, and .internal, which ICANN reserved for private use in 2024. */
const privateDomains = [
  'local',
  'internal',
  'home.arpa',
  'lan',
  'home',
  'corp',
  'mail',
  'intranet',
  'private',
  'localdomain',
];

/** `10.0.0.1.nip.io`, `app-10-0-0-1.sslip.io` and the like. */
function embeddedAddress(name: string): Address | undefined {
  if (!/\.(?:nip|sslip|xip)\.io$/.test(name) || name.length > 253) return undefined;
  const match = /(?:^|[.-])(\d{1,3})[.-](\d{1,3})[.-](\d{1,3})[.-](\d{1,3})\.(?:nip|sslip|xip)\.io$/.exec(name);
  return match ? parseApiAddress(match.slice(1).map(Number).join('.')) : undefined;
}

function shown(text: string): string {
  return text.length > 100 ? `${JSON.stringify(text.slice(0, 100))}...` : JSON.stringify(text);
}
