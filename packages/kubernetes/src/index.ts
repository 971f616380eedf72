export {
  type AccessAttempt,
  KubernetesForbiddenError,
  KubernetesRefusedError,
  KubernetesUnauthorizedError,
  KubernetesUnavailableError,
  ServiceNotFoundError,
  type StatusCause,
} from './api/errors.ts';
export { type KubeConfigLike, type KubeConfigOption, KubernetesConfigError } from './api/kube-config.ts';
export { NotExternalNameError } from './errors.ts';
export { type KubernetesSourceOptions, kubernetesSource } from './watch/watch-source.ts';
