import { LocalCluster } from '@externalname/testing';
import { describe, expect, it } from 'vitest';
import { type CanaryOptions, type DrillOptions, runDrill } from '../src/index.ts';

const canary: CanaryOptions = {
  service: 'canary-db.drill',
  to: 'secondary-db.example.com',
  allowedTargets: ['primary-db.example.com', 'secondary-db.example.com'],
  connection: {},
  confirm: () => false,
};

describe('a drill', () => {
  it.each<[string, DrillOptions]>([
    ['workers', { workers: 0 }],
    ['thresholds.lost', { thresholds: { lost: -1 } }],
    ['canary.to', { canary: { ...canary, to: 'https://db.example.com' } }],
    ['canary.crashCommand', { canary: { ...canary, crashCommand: ' ' } }],
    ['kubeConfig', { canary: { ...canary, kubeConfig: '' } }],
  ])('is refused before anything is begun if %s cannot be used', async (argument, options) => {
    await expect(runDrill(options)).rejects.toMatchObject({ code: 'ERR_EXTERNALNAME_INVALID_ARGUMENT', argument });
  });

  it('does not begin if the signal has fired', async () => {
    await expect(runDrill({ signal: AbortSignal.abort(new Error('enough')) })).rejects.toThrow('enough');
  });

  it('changes nothing that is not confirmed', async () => {
    await using cluster = await LocalCluster.start({
      services: [
        {
          metadata: { name: 'canary-db', namespace: 'drill' },
          spec: { type: 'ExternalName', externalName: 'primary-db.example.com' },
        },
      ],
    });
    const asked: string[] = [];
    const kubeConfig = await cluster.writeKubeconfig();
    const confirm: CanaryOptions['confirm'] = ({ service, from, to }) => {
      asked.push(`${service}: ${from} -> ${to}`);
      return false;
    };
    await expect(runDrill({ canary: { ...canary, kubeConfig, confirm } })).rejects.toMatchObject({
      code: 'ERR_EXTERNALNAME_DRILL_NOT_CONFIRMED',
      message: expect.stringContaining('drill/canary-db was not touched'),
    });
    expect(asked).toEqual(['drill/canary-db: primary-db.example.com -> secondary-db.example.com']);
  });

  it('refuses to log in where the Service points, if the allow-list does not have it', async () => {
    await using cluster = await LocalCluster.start({
      services: [
        {
          metadata: { name: 'canary-db', namespace: 'drill' },
          spec: { type: 'ExternalName', externalName: 'elsewhere.example.com' },
        },
      ],
    });
    const kubeConfig = await cluster.writeKubeconfig();
    await expect(runDrill({ canary: { ...canary, kubeConfig, confirm: () => true } })).rejects.toMatchObject({
      argument: 'allowedTargets',
    });
  });
});
