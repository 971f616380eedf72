import { describe, it } from 'vitest';
import {
  auroraEngine,
  cnpgEngine,
  createEngine,
  type EngineState,
  patroniEngine,
  pgAutoFailoverEngine,
  sqlEngine,
} from '../src/index.ts';
import { checkEngine, type EngineHarness, engineContract } from './engine.contract.ts';
import { EtcdGateway } from './stand-ins/etcd-gateway.ts';
import { ObjectApi } from './stand-ins/object-api.ts';
import { PatroniMembers } from './stand-ins/patroni-members.ts';
import { answersOf, ScriptedClients, type ScriptedPostgres } from './stand-ins/postgres-clients.ts';

const quick = { pollMillis: 20, requestTimeoutMillis: 1_000 };

const harnesses: Record<string, () => Promise<EngineHarness>> = {
  'of a reader of your own': async () => {
    let state: EngineState = { state: 'leader', member: 'a' };
    let isDown = false;
    const reader = {
      name: 'own',
      read: async () => {
        if (isDown) throw new Error('gone');
        return state;
      },
    };
    return {
      engine: createEngine(reader, quick),
      lead: (member) => {
        state = { state: 'leader', member };
      },
      unlock: () => {
        state = { state: 'unknown', reason: 'unlocked', detail: '' };
      },
      fail: () => {
        isDown = true;
      },
      recover: () => {
        isDown = false;
      },
    };
  },

  'for Patroni over REST': async () => {
    const patroni = await new PatroniMembers().start();
    const { a, b } = patroni.servers;
    return {
      engine: patroniEngine({ scope: 'demo', members: patroni.urls, ...quick }),
      lead: (member) => patroni.lead(member),
      unlock: () => patroni.unlock(),
      fail: () => [a, b].forEach((server) => void server.break()),
      recover: () =>
        [a, b].forEach((server) => {
          server.isBroken = false;
        }),
      pause: () => {
        patroni.members.b.isPaused = true;
      },
      split: () => void Object.assign(patroni.members.b, { role: 'primary', holdsLock: true }),
      release: () => {
        patroni.unlock();
        patroni.members.a.state = 'stopping';
      },
      age: () => {
        patroni.members.a.seenSecondsAgo = 60;
      },
      connections: () => a.connections + b.connections,
      dispose: () => patroni.stop(),
    };
  },

  'for Patroni over etcd': async () => {
    const [etcd, patroni] = [new EtcdGateway(), await new PatroniMembers().start()];
    await etcd.server.start();
    const set = (key: string, value: string | undefined) => etcd.set(`/service/demo/${key}`, value);
    for (const name of ['a', 'b'] as const) {
      set(`members/${name}`, JSON.stringify({ api_url: `${patroni.servers[name].url}/patroni`, timeline: 1 }));
    }
    set('initialize', '7000000000000000001');
    set('config', '{"ttl":30}');
    set('leader', 'a');
    return {
      engine: patroniEngine({ scope: 'demo', etcd: { endpoints: [etcd.server.url] }, ...quick }),
      lead: (member) => {
        patroni.lead(member);
        set('leader', member);
        set('failover', undefined);
      },
      unlock: () => set('leader', undefined),
      fail: () => etcd.server.break(),
      recover: () => {
        etcd.server.isBroken = false;
      },
      pause: () => set('config', '{"pause":true}'),
      release: () => set('failover', '{"leader":"a","member":"b"}'),
      connections: () => etcd.server.connections + patroni.servers.a.connections + patroni.servers.b.connections,
      dispose: async () => {
        await etcd.server.stop();
        await patroni.stop();
      },
    };
  },

  'for Patroni in Kubernetes': async () => {
    const [api, patroni] = [new ObjectApi(), await new PatroniMembers().start()];
    await api.server.start();
    const maps = '/api/v1/namespaces/default/configmaps';
    const renewed = () => ({ renewTime: String(Math.random()), ttl: '30' });
    const lead = (member: string) => api.put(maps, 'demo-leader', { annotations: { leader: member, ...renewed() } });
    for (const name of ['a', 'b'] as const) {
      const status = JSON.stringify({ api_url: `${patroni.servers[name].url}/patroni` });
      api.put('/api/v1/namespaces/default/pods', name, { annotations: { status } });
    }
    api.put(maps, 'demo-config', { annotations: { config: '{}', initialize: '7000000000000000001' } });
    lead('a');
    return {
      engine: patroniEngine({ scope: 'demo', kubernetes: { kubeConfig: api.kubeConfig }, ...quick }),
      lead: (member) => {
        patroni.lead(member);
        lead(member);
        api.put(maps, 'demo-failover', { annotations: {} });
      },
      unlock: () => api.put(maps, 'demo-leader', { annotations: renewed() }),
      fail: () => api.server.break(),
      recover: () => {
        api.server.isBroken = false;
      },
      pause: () => api.put(maps, 'demo-config', { annotations: { config: '{"pause":true}' } }),
      release: () => api.put(maps, 'demo-failover', { annotations: { leader: 'a', member: 'b' } }),
      connections: () => api.server.connections + patroni.servers.a.connections + patroni.servers.b.connections,
      dispose: async () => {
        await api.server.stop();
        await patroni.stop();
      },
    };
  },

  'for one Cluster of CloudNativePG': async () => {
    const api = new ObjectApi();
    await api.server.start();
    let system = 1;
    const put = (status: object, annotations: object = {}) =>
      api.put('/apis/postgresql.cnpg.io/v1/namespaces/default/clusters', 'pg', {
        annotations,
        spec: { instances: 2 },
        status: { systemID: '7000000000000000001', timelineID: system, ...status },
      });
    const lead = (member: string) =>
      put({ currentPrimary: member, targetPrimary: member, phase: 'Cluster in healthy state' });
    lead('a');
    return {
      engine: cnpgEngine({ cluster: 'pg', namespace: 'default', kubeConfig: api.kubeConfig, ...quick }),
      lead: (member) => {
        system += 1;
        lead(member);
      },
      unlock: () => put({ currentPrimary: 'a', targetPrimary: 'pending', phase: 'Failing over' }),
      fail: () => api.server.break(),
      recover: () => {
        api.server.isBroken = false;
      },
      pause: () => put({ currentPrimary: 'a', targetPrimary: 'a' }, { 'cnpg.io/hibernation': 'on' }),
      release: () => put({ currentPrimary: 'a', targetPrimary: 'b', phase: 'Switchover in progress' }),
      connections: () => api.server.connections,
      dispose: () => api.server.stop(),
    };
  },

  'for Clusters of CloudNativePG': async () => {
    const apis = { a: new ObjectApi(), b: new ObjectApi() };
    await Promise.all([apis.a.server.start(), apis.b.server.start()]);
    let turn = 0;
    const put = (self: 'a' | 'b', replica: object, status: object = {}) =>
      apis[self].put('/apis/postgresql.cnpg.io/v1/namespaces/default/clusters', 'pg', {
        spec: { replica: { self, source: 'other', ...replica } },
        status: { currentPrimary: 'pg-1', targetPrimary: 'pg-1', systemID: '7', timelineID: turn, ...status },
      });
    const lead = (member: 'a' | 'b') => {
      turn += 1;
      const token = turn > 1 ? { promotionToken: `token-${turn}` } : {};
      put(member === 'a' ? 'b' : 'a', { primary: member }, { demotionToken: `token-${turn}` });
      put(member, { primary: member, ...token }, turn > 1 ? { lastPromotionToken: `token-${turn}` } : {});
    };
    lead('a');
    const place = (member: 'a' | 'b') => ({ cluster: 'pg', namespace: 'default', kubeConfig: apis[member].kubeConfig });
    return {
      engine: cnpgEngine({ clusters: { a: place('a'), b: place('b') }, ...quick }),
      lead,
      unlock: () => put('a', { primary: 'b' }),
      fail: () => [apis.a, apis.b].forEach(({ server }) => void server.break()),
      recover: () =>
        [apis.a, apis.b].forEach(({ server }) => {
          server.isBroken = false;
        }),
      split: () => put('b', { primary: 'b' }),
      release: () => put('a', { primary: 'b' }, { demotionToken: 'token' }),
      connections: () => apis.a.server.connections + apis.b.server.connections,
      dispose: async () => {
        await apis.a.server.stop();
        await apis.b.server.stop();
      },
    };
  },

  'for pg_auto_failover': async () => {
    let timeline = 1;
    let states: Record<'a' | 'b', readonly [reported: string, goal: string]> = {
      a: ['primary', 'primary'],
      b: ['secondary', 'secondary'],
    };
    let age = 0;
    const clients = new ScriptedClients((_, query) =>
      query.startsWith('listen')
        ? []
        : Object.entries(states).map(([name, [reported, goal]]) => ({
            name,
            reported,
            goal,
            timeline,
            system_identifier: '7',
            age,
            since: null,
          })),
    );
    const tell = (next: typeof states) => {
      states = next;
      clients.notify();
    };
    return {
      engine: pgAutoFailoverEngine({ monitor: () => clients.client('monitor'), ...quick }),
      lead: (member) => {
        timeline += 1;
        const [led, waits] = [['wait_primary', 'primary'] as const, ['demoted', 'catchingup'] as const];
        tell(member === 'a' ? { a: led, b: waits } : { a: waits, b: led });
      },
      unlock: () => tell({ a: ['demoted', 'demoted'], b: ['report_lsn', 'report_lsn'] }),
      fail: () => clients.break('monitor'),
      recover: () => void clients.down.clear(),
      pause: () => tell({ a: ['maintenance', 'maintenance'], b: ['secondary', 'secondary'] }),
      split: () => tell({ a: ['primary', 'primary'], b: ['wait_primary', 'wait_primary'] }),
      release: () => tell({ a: ['primary', 'draining'], b: ['secondary', 'prepare_promotion'] }),
      age: () => {
        age = 60;
      },
      connections: () => clients.open,
    };
  },

  'for Aurora': () => aurora('aurora'),
  'for an RDS Multi-AZ DB cluster': () => aurora('multi-az'),

  'that asks by SQL': async () => {
    const servers: Record<string, ScriptedPostgres> = { a: server(true), b: server(false) };
    const clients = new ScriptedClients((host, query) => answersOf(servers[host] ?? server(false), query));
    const lead = (member: string | undefined) => {
      for (const [name, each] of Object.entries(servers)) each.inRecovery = name !== member;
    };
    return {
      engine: sqlEngine({ candidates: { a: 'a', b: 'b' }, client: clients.client, ...quick }),
      lead,
      unlock: () => lead(undefined),
      fail: () => clients.break('a', 'b'),
      recover: () => void clients.down.clear(),
      split: () => {
        for (const each of Object.values(servers)) each.inRecovery = false;
      },
      connections: () => clients.open,
    };
  },
};

for (const [name, make] of Object.entries(harnesses)) {
  describe(`an engine ${name}`, () => {
    for (const { promise, needs, check } of engineContract) {
      it(promise, async ({ skip }) => {
        const harness = await make();
        if (needs !== undefined && harness[needs] === undefined) {
          await checkEngine(async () => {}, harness);
          skip(`this engine has no such thing: ${needs}`);
        }
        await checkEngine(check, harness);
      });
    }
  });
}

async function aurora(kind: 'aurora' | 'multi-az'): Promise<EngineHarness> {
  let writers: readonly string[] = ['a'];
  let age = 0;
  const clients = new ScriptedClients(() => writers.map((member) => ({ member, age })));
  return {
    engine: auroraEngine({ instances: ['a.example.com', 'b.example.com'], client: clients.client, kind, ...quick }),
    lead: (member) => {
      writers = [member];
    },
    unlock: () => {
      writers = [];
    },
    fail: () => clients.break('a.example.com', 'b.example.com'),
    recover: () => void clients.down.clear(),
    split: () => {
      writers = ['a', 'b'];
    },
    age: () => {
      age = 60;
    },
    connections: () => clients.open,
  };
}

function server(leads: boolean): ScriptedPostgres {
  return { inRecovery: !leads, readOnly: false, timeline: 1, system: '7' };
}
