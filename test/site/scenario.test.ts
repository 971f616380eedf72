import { afterEach, describe, expect, it } from 'vitest';
import { playScenario } from './support/scenario.ts';
import { openTestSite, type TestSite } from './support/site.ts';

let site: TestSite;
afterEach(() => site?.[Symbol.asyncDispose]());

describe('the webscaler disaster recovery from a pod', () => {
  // CoreDNS's own default, and that of kubeadm.
  it.each([5, 30])(
    'loses nothing, does nothing twice and hangs nowhere, by DNS (TTL %i s) and by a watch',
    async (ttlSeconds) => {
      site = await openTestSite({ ttlSeconds });
      await playScenario(site);
      // The pod finds DNS and the API where kubelet says, and no server has an address of the pod's.
      const own = await site.app.pod.run('ip -o addr | grep -o "inet6* [^/]*"');
      for (const server of site.pair.servers) expect(own).not.toContain(server.address);
    },
  );
});
