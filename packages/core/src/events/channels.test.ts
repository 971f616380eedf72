import { channel } from 'node:diagnostics_channel';
import { describe, expect, it, vi } from 'vitest';
import { EventChannel } from './channels.ts';
import * as events from './index.ts';

describe('an event channel', () => {
  it('gives what is published to those who subscribe, until they end it', () => {
    const events = new EventChannel<{ count: number }>('externalname:test:counted');
    const heard: number[] = [];
    const end = events.subscribe(({ count }) => heard.push(count));
    events.publish(() => ({ count: 1 }));
    end();
    end();
    events.publish(() => ({ count: 2 }));
    expect(heard).toEqual([1]);
  });

  it('is a channel of node:diagnostics_channel under its name', () => {
    const events = new EventChannel<{ count: number }>('externalname:test:by-name');
    const heard: unknown[] = [];
    const listener = (message: unknown, name: string | symbol) => heard.push([name, message]);
    channel('externalname:test:by-name').subscribe(listener);
    events.publish(() => ({ count: 1 }));
    channel('externalname:test:by-name').unsubscribe(listener);
    expect(heard).toEqual([['externalname:test:by-name', { count: 1 }]]);
  });

  it('builds no payload without a listener', () => {
    const payload = vi.fn(() => ({ count: 1 }));
    new EventChannel<{ count: number }>('externalname:test:silent').publish(payload);
    expect(payload).not.toHaveBeenCalled();
  });
});

describe('the channels', () => {
  const channels = Object.values(events).filter((value) => value instanceof EventChannel);

  it('have names of the form externalname:<room>:<what happened>, each its own', () => {
    const names = channels.map(({ name }) => name);
    for (const name of names) expect(name).toMatch(/^externalname:[a-z]+:[a-z-]+$/);
    expect(new Set(names).size).toBe(names.length);
    expect(names.length).toBeGreaterThan(5);
  });
});
