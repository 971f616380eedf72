import type { ServerOptions } from 'node:https';
import { answer, ScriptedServer } from './http-server.ts';

/** What one member answers. */
export interface ScriptedMember {
  role: string;
  state: string;
  holdsLock: boolean;
  timeline: number;
  system: string;
  isPaused: boolean;
  isUnlocked: boolean;
  seenSecondsAgo: number;
}

/** The REST interfaces of two members of Patroni, as they answer `/primary`. */
export class PatroniMembers {
  readonly members: Record<'a' | 'b', ScriptedMember> = { a: member(true), b: member(false) };
  readonly servers: Record<'a' | 'b', ScriptedServer>;
  /** What was asked, as `member path authorization`. */
  readonly requests: string[] = [];

  constructor(tls?: ServerOptions) {
    const serve = (name: 'a' | 'b') =>
      new ScriptedServer((request, _, response) => {
        this.requests.push(`${name} ${request.url} ${request.headers.authorization ?? '-'}`);
        const { role, state, holdsLock, timeline, system, isPaused, isUnlocked, seenSecondsAgo } = this.members[name];
        answer(response, holdsLock ? 200 : 503, {
          state,
          role,
          timeline,
          database_system_identifier: system,
          dcs_last_seen: Math.floor(Date.now() / 1000) - seenSecondsAgo,
          ...(isPaused && { pause: true }),
          ...(isUnlocked && { cluster_unlocked: true }),
          patroni: { version: '4.1.5', scope: 'demo', name },
        });
      }, tls);
    this.servers = { a: serve('a'), b: serve('b') };
  }

  async start(): Promise<this> {
    await Promise.all(Object.values(this.servers).map((server) => server.start()));
    return this;
  }

  get urls(): string[] {
    return Object.values(this.servers).map(({ url }) => url);
  }

  lead(name: 'a' | 'b'): void {
    for (const each of ['a', 'b'] as const) {
      const leads = each === name;
      const { timeline } = this.members[each];
      Object.assign(this.members[each], { ...member(leads), timeline: leads ? timeline + 1 : timeline });
    }
  }

  unlock(): void {
    for (const each of Object.values(this.members))
      Object.assign(each, { holdsLock: false, isUnlocked: true, role: 'replica' });
  }

  async stop(): Promise<void> {
    await Promise.all(Object.values(this.servers).map((server) => server.stop()));
  }
}

function member(leads: boolean): ScriptedMember {
  return {
    role: leads ? 'primary' : 'replica',
    state: 'running',
    holdsLock: leads,
    timeline: 1,
    system: '7000000000000000001',
    isPaused: false,
    isUnlocked: false,
    seenSecondsAgo: 0,
  };
}
