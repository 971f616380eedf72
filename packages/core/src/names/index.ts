export {
  type ClusterContext,
  type ClusterContextOptions,
  discoverClusterContext,
  searchedCluster,
} from './cluster-domain.ts';
export {
  canonicalName,
  type HostNameProblem,
  hostNameProblem,
  isWithin,
  longestLabel,
  longestName,
  parseHostName,
} from './dns-name.ts';
export {
  isServiceName,
  parseServiceReference,
  type ServiceReference,
  type ServiceReferenceDefaults,
  serviceReference,
} from './service-reference.ts';
export { matchesTargetPattern, parseTargetPattern, type TargetPattern } from './target-pattern.ts';
