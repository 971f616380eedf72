import { InvalidArgumentError } from '../errors.ts';
import { checkText } from '../input.ts';
import { aText, checkProperties, optional } from '../shape.ts';
import { canonicalName, hostNameProblem } from './dns-name.ts';

/** A Service, by its names in Kubernetes and in cluster DNS. */
export interface ServiceReference {
  /** `metadata.name` */
  readonly name: string;
  /** `metadata.namespace` */
  readonly namespace: string;
  /** The cluster's DNS domain, without dots at the ends: `cluster.local` */
  readonly clusterDomain: string;
  /** `<name>.<namespace>.svc.<clusterDomain>`, without the trailing dot */
  readonly fullName: string;
}

/** What completes a short name. */
export interface ServiceReferenceDefaults {
  /** Completes a short name. @defaultValue `default` */
  namespace?: string | undefined;
  /** The cluster's domain. @defaultValue `cluster.local` */
  clusterDomain?: string | undefined;
}

/**
 * Reads a Service's name as an application writes it: `webscaler-db`, `webscaler-db.default`,
 * `webscaler-db.default.svc`, `webscaler-db.default.svc.cluster.local`, each with or without a trailing dot.
 *
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT` if the text is none of these.
 *
 * @example
 * ```ts
 * parseServiceReference('webscaler-db').fullName; // 'webscaler-db.default.svc.cluster.local'
 * ```
 */
export function parseServiceReference(text: string, defaults: ServiceReferenceDefaults = {}): ServiceReference {
  checkText('service', text);
  checkDefaults(defaults);
  const name = canonicalName(text);
  if (hostNameProblem(name) !== undefined) {
    throw new InvalidArgumentError('service', `${JSON.stringify(text.slice(0, 300))} is not the name of a Service`);
  }
  const [service = '', namespace, svc, ...zone] = name.split('.');
  if (svc !== undefined && svc !== 'svc') {
    throw new InvalidArgumentError(
      'service',
      `${JSON.stringify(text)} is not the name of a Service: write <name>, <name>.<namespace> or <name>.<namespace>.svc.<cluster domain>`,
    );
  }
  return serviceReference(service, {
    namespace: namespace ?? defaults.namespace,
    clusterDomain: zone.length > 0 ? zone.join('.') : defaults.clusterDomain,
  });
}

/** Makes a reference from its parts. Reading the name back gives the same parts. */
export function serviceReference(name: string, defaults: ServiceReferenceDefaults = {}): ServiceReference {
  checkText('name', name);
  checkDefaults(defaults);
  const namespace = canonicalName(defaults.namespace ?? 'default');
  const clusterDomain = canonicalName(defaults.clusterDomain ?? 'cluster.local').replace(/^\.+/, '');
  return { name, namespace, clusterDomain, fullName: `${name}.${namespace}.svc.${clusterDomain}` };
}

function checkDefaults(defaults: ServiceReferenceDefaults): void {
  checkProperties(defaults, { namespace: optional(aText), clusterDomain: optional(aText) }, 'defaults');
}

/** Whether `name` can be a Service of that cluster: `<service>.<namespace>.svc.<clusterDomain>`. */
export function isServiceName(name: string, clusterDomain: string): boolean {
  checkText('clusterDomain', clusterDomain);
  const suffix = `.svc.${canonicalName(clusterDomain)}`;
  const canonical = canonicalName(name);
  return canonical.endsWith(suffix) && canonical.slice(0, -suffix.length).split('.').length === 2;
}
