import type { SwitchHistory } from '@externalname/kubernetes';
import { describe, expect, it } from 'vitest';
import { recordedOutput, shown } from '../../test/screen.ts';
import { writeHistory } from './history-screen.ts';

const history: SwitchHistory = {
  reference: {
    name: 'webscaler-db',
    namespace: 'shop',
    clusterDomain: 'cluster.local',
    fullName: 'webscaler-db.shop.svc.cluster.local',
  },
  cluster: undefined,
  target: 'third-db.example.com',
  owners: ['Argo CD (field manager argocd-controller)'],
  writers: [{ manager: 'kubectl-patch', operation: 'Update' }],
  switches: [
    {
      id: '2',
      at: '2026-11-29T11:20:00.123Z',
      by: 'system:serviceaccount:ops:switcher',
      previous: 'primary-db.example.com',
      target: 'secondary-db.example.com',
      reason: 'region down: the whole site has lost its power, and the on-call engineer of the provider confirms it',
      recordedIn: 'service',
    },
    {
      id: '1',
      at: '2026-11-29T10:50:00Z',
      by: '',
      previous: 'secondary-db.example.com',
      target: 'primary-db.example.com',
      recordedIn: 'event',
    },
  ],
  changedSince: true,
  warnings: [],
};

describe('the screen of history', () => {
  it.each([80, 120])('in a terminal of %i columns', async (columns) => {
    const { output, text } = recordedOutput(columns);
    writeHistory(output, history);
    const { screen, broken } = await shown(text(), columns);
    await expect(screen).toMatchFileSnapshot(`screens/history-${columns}.txt`);
    expect(broken).toEqual([]);
  });

  it('in a pipe, each fact on one line', async () => {
    const { output, text } = recordedOutput(undefined);
    writeHistory(output, history);
    await expect(text()).toMatchFileSnapshot('screens/history-pipe.txt');
  });

  it('says that nothing was recorded', () => {
    const { output, text } = recordedOutput(80);
    writeHistory(output, { ...history, switches: [], changedSince: false, owners: [] });
    expect(text()).toContain('No switch was recorded.');
  });
});
