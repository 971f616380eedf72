import { defineConfig } from 'vitest/config';
import { patientPolls } from './test/polls.ts';

// The same tests against LocalCluster and against the real control plane: `KUBEBUILDER_ASSETS` names the folder of
// kube-apiserver, etcd and coredns (see test/controlplane). Apart from the other projects, because it takes minutes.
const conditions = ['@externalname/source', 'module', 'node', 'development|production'];

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions, externalConditions: ['@externalname/source', 'node'] } },
  test: {
    name: 'contract',
    include: ['test/contract/**/*.test.ts'],
    // Each file may start a control plane of its own.
    fileParallelism: false,
    expect: patientPolls,
    testTimeout: 60_000,
    hookTimeout: 180_000,
  },
});
