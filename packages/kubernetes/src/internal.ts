/**
 * What the sibling packages share. Not for users: it changes without notice.
 *
 * @internal
 * @module
 */

export { isText, record } from './api/json.ts';
export { checkKubeConfig } from './api/kube-config.ts';
export { KubernetesApi } from './api/kubernetes-api.ts';
export { attemptOn, isVersion, type ObjectSnapshot, objectPath, type ResourceKind } from './api/objects.ts';
export { pendingReference } from './api/reference.ts';
export { switchShapes } from './switch/option-shapes.ts';
export { ObjectWatch, type ObjectWatchListener, type WatchSettings } from './watch/object-watch.ts';
