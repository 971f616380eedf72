import { createDispatcher } from '@externalname/http';

/** The names of the catalog, before and after. */
export const catalog = {
  service: 'catalog',
  namespace: 'shop',
  selector: { app: 'catalog' },
  /** What the certificate of the pods is for. */
  inside: 'catalog.shop.svc.cluster.local',
  /** What the certificate of the new place is for. */
  outside: 'catalog.example.com',
} as const;

/** The dispatcher of a client: what you would copy. It may go to both places, so that it is there before, during and after the change. */
export function catalogDispatcher(overrides: Partial<Parameters<typeof createDispatcher>[0]> = {}) {
  return createDispatcher({
    service: catalog.service,
    namespace: catalog.namespace,
    allowedTargets: [catalog.inside, catalog.outside],
    ...overrides,
  });
}
