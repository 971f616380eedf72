import { isJsonObject, type JsonObject, jsonEqual, type KubernetesObject, objectsIn } from './object.ts';
import { resourceOf } from './resources.ts';
import { invalid, invalidValue } from './status.ts';

/**
 * What the API server does to a Service before it checks and stores it: it fills in defaults, drops fields that a change of type
 * makes meaningless, and allocates cluster addresses.
 *
 * Source: Kubernetes `pkg/apis/core/v1/defaults.go` (SetDefaults_Service), `pkg/registry/core/service/strategy.go`
 * (dropTypeDependentFields), `pkg/registry/core/service/storage/alloc.go`.
 */
export class ServiceStrategy {
  readonly #given = new Set<string>();

  /** Fills in what was left out. */
  setDefaults(service: KubernetesObject): void {
    const spec = specOf(service);
    spec['sessionAffinity'] ??= 'None';
    if (spec['sessionAffinity'] === 'None') delete spec['sessionAffinityConfig'];
    if (spec['sessionAffinity'] === 'ClientIP' && spec['sessionAffinityConfig'] === undefined) {
      spec['sessionAffinityConfig'] = { clientIP: { timeoutSeconds: 10_800 } };
    }
    spec['type'] ??= 'ClusterIP';
    const type = spec['type'];
    if (Array.isArray(spec['ports'])) {
      for (const port of spec['ports']) {
        if (!isJsonObject(port)) continue;
        port['protocol'] ??= 'TCP';
        if (port['targetPort'] === undefined || port['targetPort'] === 0 || port['targetPort'] === '') {
          if (port['port'] !== undefined) port['targetPort'] = port['port'];
        }
      }
    }
    if (type === 'NodePort' || type === 'LoadBalancer') spec['externalTrafficPolicy'] ??= 'Cluster';
    if (type === 'LoadBalancer') spec['allocateLoadBalancerNodePorts'] ??= true;
    if (needsClusterIP(spec)) spec['internalTrafficPolicy'] ??= 'Cluster';
    service['status'] ??= { loadBalancer: {} };
    const { loadBalancer } = service['status'] as JsonObject;
    for (const ingress of objectsIn(isJsonObject(loadBalancer) ? loadBalancer['ingress'] : undefined)) {
      if (ingress['ip'] !== undefined) ingress['ipMode'] ??= 'VIP';
    }
  }

  prepareForCreate(service: KubernetesObject): void {
    service['status'] = { loadBalancer: {} };
    normalizeClusterIPs(specOf(service), undefined);
  }

  /** Drops fields of the old type that the client sent back unchanged. */
  prepareForUpdate(service: KubernetesObject, previous: KubernetesObject): void {
    const spec = specOf(service);
    const old = specOf(previous);
    service['status'] = structuredClone(previous['status']);
    normalizeClusterIPs(spec, old);
    if (needsClusterIP(old) && !needsClusterIP(spec)) {
      if (unchanged(spec, old, 'clusterIPs')) {
        delete spec['clusterIP'];
        delete spec['clusterIPs'];
      }
      if (unchanged(spec, old, 'ipFamilies')) delete spec['ipFamilies'];
      if (unchanged(spec, old, 'ipFamilyPolicy')) delete spec['ipFamilyPolicy'];
    }
    if (needsNodePort(old) && !needsNodePort(spec)) {
      const oldPorts = objectsIn(old['ports']);
      for (const [index, port] of objectsIn(spec['ports']).entries()) {
        const before =
          oldPorts.find(
            (candidate) => candidate['port'] === port['port'] && candidate['protocol'] === port['protocol'],
          ) ?? oldPorts[index];
        if (before !== undefined && before['nodePort'] === port['nodePort']) delete port['nodePort'];
      }
    }
    const named = (of: JsonObject) => of['type'] === 'ExternalName';
    if (!named(old) && named(spec) && unchanged(spec, old, 'internalTrafficPolicy'))
      delete spec['internalTrafficPolicy'];
    const external = (of: JsonObject) => of['type'] === 'NodePort' || of['type'] === 'LoadBalancer';
    if (external(old) && !external(spec) && unchanged(spec, old, 'externalTrafficPolicy'))
      delete spec['externalTrafficPolicy'];
    if (needsHealthCheck(old) && !needsHealthCheck(spec) && unchanged(spec, old, 'healthCheckNodePort')) {
      delete spec['healthCheckNodePort'];
    }
    const balanced = (of: JsonObject) => of['type'] === 'LoadBalancer';
    if (balanced(old) && !balanced(spec)) {
      if (unchanged(spec, old, 'allocateLoadBalancerNodePorts')) delete spec['allocateLoadBalancerNodePorts'];
      if (unchanged(spec, old, 'loadBalancerClass')) delete spec['loadBalancerClass'];
      service['status'] = { loadBalancer: {} };
    }
  }

  /** Allocates addresses and node ports, after the object was found valid. */
  allocate(service: KubernetesObject, previous: KubernetesObject | undefined, { dryRun }: { dryRun: boolean }): void {
    // The allocations of a dry run are free again at once.
    const before = dryRun ? new Set(this.#given) : undefined;
    this.#allocate(service, previous);
    if (before === undefined) return;
    this.#given.clear();
    for (const taken of before) this.#given.add(taken);
  }

  #allocate(service: KubernetesObject, previous: KubernetesObject | undefined): void {
    const spec = specOf(service);
    if (needsClusterIP(spec)) {
      // A headless Service without a selector gets both families, because its endpoints may be of either.
      const open = spec['clusterIP'] === 'None' && spec['selector'] === undefined;
      const families = open ? ['IPv4', 'IPv6'] : ['IPv4'];
      if (spec['clusterIP'] === undefined || spec['clusterIP'] === '') {
        const address = this.#address();
        spec['clusterIP'] = address;
        spec['clusterIPs'] = [address];
      } else if (spec['clusterIPs'] === undefined) {
        spec['clusterIPs'] = [spec['clusterIP']];
      }
      for (const address of Array.isArray(spec['clusterIPs']) ? spec['clusterIPs'] : [])
        this.#given.add(String(address));
      spec['ipFamilies'] ??= familiesOf(spec['clusterIPs']) ?? families;
      spec['ipFamilyPolicy'] ??= open ? 'RequireDualStack' : 'SingleStack';
    }
    if (needsNodePort(spec)) {
      const before = objectsIn(previous && specOf(previous)['ports']).map((port) => port['nodePort']);
      for (const [index, port] of objectsIn(spec['ports']).entries()) {
        if (port['nodePort'] === undefined) port['nodePort'] = this.#nodePort();
        else if (!before.includes(port['nodePort'])) this.#takeNodePort(service, index, Number(port['nodePort']));
      }
    }
    if (previous !== undefined && needsClusterIP(specOf(previous)) && !needsClusterIP(spec)) this.release(previous);
  }

  /** Frees the addresses of a deleted Service. */
  release(service: KubernetesObject): void {
    const spec = specOf(service);
    for (const address of Array.isArray(spec['clusterIPs']) ? spec['clusterIPs'] : [])
      this.#given.delete(String(address));
    for (const port of objectsIn(spec['ports'])) this.#given.delete(`port ${port['nodePort']}`);
  }

  #address(): string {
    // 10.96.0.0/12 is kubeadm's range; the first 256 are left for addresses that are chosen by hand.
    for (let host = 256; ; host += 1) {
      const address = `10.${96 + (host >> 16)}.${(host >> 8) & 255}.${host & 255}`;
      if (!this.#given.has(address)) return address;
    }
  }

  /** @throws ApiStatusError 422 */
  #takeNodePort(service: KubernetesObject, index: number, port: number): void {
    const problem =
      port < 30_000 || port > 32_767
        ? 'provided port is not in the valid range. The range of valid ports is 30000-32767'
        : this.#given.has(`port ${port}`) && 'provided port is already allocated';
    if (problem) {
      const cause = invalidValue(`spec.ports[${index}].nodePort`, port, problem);
      throw invalid(resourceOf('Service'), service.metadata.name ?? '', [cause]);
    }
    this.#given.add(`port ${port}`);
  }

  #nodePort(): number {
    for (let port = 30_000; ; port += 1) {
      if (this.#given.has(`port ${port}`)) continue;
      this.#given.add(`port ${port}`);
      return port;
    }
  }
}

/** If only one of clusterIP and clusterIPs was sent, it sets both. */
function normalizeClusterIPs(spec: JsonObject, old: JsonObject | undefined): void {
  const list = Array.isArray(spec['clusterIPs']) ? spec['clusterIPs'] : [];
  const single = typeof spec['clusterIP'] === 'string' ? spec['clusterIP'] : '';
  if (old === undefined) {
    if (single !== '' && list.length === 0) spec['clusterIPs'] = [single];
    return;
  }
  const oldSingle = typeof old['clusterIP'] === 'string' ? old['clusterIP'] : '';
  const sameList = jsonEqual(spec['clusterIPs'], old['clusterIPs']);
  if (single === '' && oldSingle !== '' && sameList) delete spec['clusterIPs'];
  else if (single !== oldSingle && sameList) spec['clusterIPs'] = single === '' ? [] : [single];
}

function specOf(service: KubernetesObject): JsonObject {
  if (!isJsonObject(service['spec'])) service['spec'] = {};
  return service['spec'] as JsonObject;
}

function needsClusterIP(spec: JsonObject): boolean {
  return spec['type'] === 'ClusterIP' || spec['type'] === 'NodePort' || spec['type'] === 'LoadBalancer';
}

function needsNodePort(spec: JsonObject): boolean {
  return (
    spec['type'] === 'NodePort' || (spec['type'] === 'LoadBalancer' && spec['allocateLoadBalancerNodePorts'] !== false)
  );
}

function needsHealthCheck(spec: JsonObject): boolean {
  return spec['type'] === 'LoadBalancer' && spec['externalTrafficPolicy'] === 'Local';
}

function unchanged(spec: JsonObject, old: JsonObject, field: string): boolean {
  return jsonEqual(spec[field], old[field]);
}

function familiesOf(addresses: unknown): string[] | undefined {
  if (!Array.isArray(addresses) || addresses.includes('None') || addresses.length === 0) return undefined;
  return addresses.map((address) => (String(address).includes(':') ? 'IPv6' : 'IPv4'));
}
