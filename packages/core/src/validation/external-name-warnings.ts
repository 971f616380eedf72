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

/** What the target of an ExternalName Service is checked against. */
export interface TargetContext {
  /** Undefined if no list was given: then every target passes. */
  readonly allowed: readonly TargetPattern[] | undefined;
  readonly allowedText: string;
  readonly clusterDomain: string;
  readonly namespace: string;
}

/** The Service whose target is looked at, and where its warnings go. */
interface TargetCheck {
  readonly service: DecodedService;
  /** The place of `externalName`. */
  readonly at: FieldPath;
  readonly context: TargetContext;
  readonly findings: Findings;
}

/** Warns of targets that the API server accepts (or refuses without a reason), and that cannot work or should not be used. */
export function warnOfTarget(check: TargetCheck): void {
  const { service, at, context, findings } = check;
  const { externalName } = service.spec;
  const name = withoutTrailingDot(externalName.trim().toLowerCase());
  if (name === '') return;
  if (/^[a-z0-9-]+$/.test(name)) {
    const message = `${shown(name)} is looked up as a top-level domain: no search list applies to the target of a CNAME`;
    findings.warn('single-label', at, message);
  }
  const text = externalName.trim();
  const url = parseApiNetwork(text) ? undefined : urlParts(text);
  if (url) warnOfUrl(url, at, findings);
  const address = readAddress(url ? url.host : text);
  if (address) warnOfAddress(url ? { ...address, refused: true } : address, check);
  else if (!url) warnOfName(name, check);
  if (context.allowed && !matchesTargetPattern(name, context.allowed)) {
    findings.warn(
      'target-not-allowed',
      at,
      `${shown(name)} is not on the allow-list (${context.allowedText || 'which is empty'})`,
    );
  }
}

type Reading = { readonly refused?: boolean } /** Go reads it as an address, and so does CoreDNS. */ & (
  | { readonly as: 'address'; readonly address: Address }
  /** The C library and URL parsers read it as an address. CoreDNS reads it as a name. */
  | { readonly as: 'loose'; readonly address: Address }
  /** Every resolver reads it as a name, and URL parsers refuse it. */
  | { readonly as: 'digits' }
  | { readonly as: 'network'; readonly address: Address }
);

/** Any spelling that a resolver or a URL parser would read as an address, alone or with a port, brackets or a zone. */
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
  // No top-level domain consists of digits (RFC 3696 section 2), and URL parsers fail on a last label of digits.
  return endsInNumber(bare) ? { as: 'digits' } : undefined;
}

function warnOfAddress(reading: Reading, { service, at, findings }: TargetCheck): void {
  const text = service.spec.externalName;
  if (reading.as === 'digits') {
    if (reading.refused) return;
    const message = `${shown(text)} ends in a number: CoreDNS answers with a CNAME to that text, which does not exist in DNS, and URL parsers refuse it`;
    findings.warn('ip-like', at, message, 'Give the full host name.');
    return;
  }
  const { address } = reading;
  const plain = reading.as === 'address' && parseApiAddress(text)?.family === 4 && !text.includes(':');
  const answer = plain
    ? 'CoreDNS answers NXDOMAIN to every question for the Service'
    : reading.as === 'loose' && !reading.refused
      ? `CoreDNS answers with a CNAME to that text, which does not exist in DNS; the C library and URL parsers read it as ${address.canonical}`
      : `the API server refuses it in this field`;
  findings.warn(
    'ip-like',
    at,
    `${shown(text)} is an address, not a host name: ${answer}`,
    alternative(service, address),
  );
  warnOfSpecial(address, at, findings);
}

/** The manifests that work for an address, ready to paste. */
function alternative(service: DecodedService, address: Address): string {
  const { meta, spec } = service;
  const { purpose } = specialRange(address) ?? {};
  if (purpose !== undefined) {
    return `An EndpointSlice does not help: ${address.canonical} is ${purposeNames[purpose]}. Give the address or name of the host that you mean.`;
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

/** The parts of a URL, with or without its scheme. Undefined if the text is only a host. */
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
    findings.warn('scheme-in-name', at, `${shown(scheme)} is the scheme of a URL, not part of a host name`, hint);
  }
  if (credentials) {
    findings.warn('scheme-in-name', at, 'the credentials before @ are not part of a host name', hint);
  }
  if (port !== undefined) {
    const stays = `${hint}. The port stays with the application.`;
    findings.warn('port-in-name', at, `:${port} is a port, not part of a host name`, stays);
  }
  if (path !== undefined) {
    findings.warn('path-in-name', at, `${shown(path)} is the path of a URL, not part of a host name`, hint);
  }
}

function warnOfName(name: string, check: TargetCheck): void {
  const { service, at, context, findings } = check;
  const labels = name.split('.');
  const long = labels.find((label) => label.length > longestLabel);
  if (long !== undefined) {
    findings.warn(
      'label-too-long',
      at,
      `the label ${shown(long)} has ${long.length} characters: no DNS message can carry it, and clients wait until a timeout`,
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
      `${shown(name)} is a name for the loopback address: each client would connect to itself`,
    );
    return;
  }
  if (metadataNames.has(name)) {
    findings.warn(
      'sensitive',
      at,
      `${shown(name)} is a cloud's metadata service, which serves credentials to its machines`,
    );
    return;
  }
  const embedded = embeddedAddress(name);
  if (embedded) {
    findings.warn(
      'ip-like',
      at,
      `${shown(name)} is a public name for the address ${embedded.canonical}: the owner of that domain decides where it leads`,
      alternative(service, embedded),
    );
  }
  if (isWithin(name, context.clusterDomain)) warnOfCluster(name, check);
  else warnOfSuffix(name, labels, at, findings);
}

function warnOfCluster(name: string, { service, at, context, findings }: TargetCheck): void {
  const own = `${service.meta.name}.${context.namespace}.svc.${context.clusterDomain}`;
  if (service.meta.name !== '' && isWithin(name, own)) {
    const message = name === own ? 'the Service points to itself' : `${shown(name)} lies below the Service's own name`;
    findings.warn('self-loop', at, `${message}: CoreDNS answers without a CNAME and without addresses`);
    return;
  }
  findings.warn(
    'in-cluster',
    at,
    `${shown(name)} is a name inside the cluster: CoreDNS answers without a CNAME while that name has no address`,
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
      `${shown(name)} looks like part of a Service's name: it is looked up as it is, outside the cluster`,
    );
    return;
  }
  if (reservedDomains.some((domain) => isWithin(name, domain))) {
    findings.warn('reserved-suffix', at, `${shown(name)} is under a reserved name: no DNS server has it`);
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
