import { describe, expect, it } from 'vitest';
import { NewestTruth } from './newest-truth.ts';
import type { Target } from './target-source.ts';

const target = (externalName: string, stale = false): Target => ({
  externalName,
  via: [],
  version: externalName,
  source: 'dns',
  stale,
});
const watch = 0;
const dns = 1;
const settleMillis = 60_000;

/** The watch named A, DNS agreed; then the watch named B at the time 1000, and went silent. DNS still said A then. */
function afterSwitch() {
  const truth = new NewestTruth(settleMillis);
  truth.judge(watch, target('a'), 0);
  truth.note(dns, target('a'));
  truth.judge(watch, target('b'), 1000);
  return truth;
}

describe('what is believed of several sources', () => {
  it('is the first target that any of them names', () => {
    const truth = new NewestTruth(settleMillis);
    expect(truth.judge(dns, target('a'), 0)).toEqual({ verdict: 'adopt' });
    expect(truth.target?.externalName).toBe('a');
  });

  it('is whatever a better one says, and what the same one says next', () => {
    const truth = new NewestTruth(settleMillis);
    truth.judge(dns, target('a'), 0);
    expect(truth.judge(watch, target('b'), 1)).toEqual({ verdict: 'adopt' });
    expect(truth.judge(watch, target('a'), 2)).toEqual({ verdict: 'adopt' });
  });

  it('is not the old target that a lower one still names after a switch', () => {
    const truth = afterSwitch();
    expect(truth.judge(dns, target('a'), 2000)).toEqual({ verdict: 'ignore', remainingMillis: 59_000 });
    expect(truth.target?.externalName).toBe('b');
  });

  it('is the old target after all where the lower one still names it when no cache can hold it any more', () => {
    const truth = afterSwitch();
    expect(truth.judge(dns, target('a'), 60_999)).toEqual({ verdict: 'ignore', remainingMillis: 1 });
    expect(truth.judge(dns, target('a'), 61_000)).toEqual({ verdict: 'adopt' });
  });

  it('is what the lower one says once it has caught up', () => {
    const truth = afterSwitch();
    expect(truth.judge(dns, target('b'), 2000)).toEqual({ verdict: 'confirm' });
    expect(truth.judge(dns, target('a'), 3000)).toEqual({ verdict: 'adopt' });
  });

  it('is a third target that the lower one names: no cache can hold it', () => {
    const truth = afterSwitch();
    expect(truth.judge(dns, target('c'), 2000)).toEqual({ verdict: 'adopt' });
  });

  it('is not yet a target of a lower one that was never heard before: it may be the old one', () => {
    const truth = new NewestTruth(settleMillis);
    truth.judge(watch, target('b'), 0);
    expect(truth.judge(dns, target('a'), 1)).toEqual({ verdict: 'ignore', remainingMillis: 59_999 });
  });

  it('counts from the last word of the better one, not from its first', () => {
    const truth = afterSwitch();
    truth.judge(watch, target('b'), 50_000);
    expect(truth.judge(dns, target('a'), 70_000)).toEqual({ verdict: 'ignore', remainingMillis: 40_000 });
  });

  it('forgets that a lower one had caught up when it goes back while the better one is heard', () => {
    const truth = afterSwitch();
    truth.note(dns, target('b'));
    truth.note(dns, target('a'));
    expect(truth.judge(dns, target('a'), 2000)).toMatchObject({ verdict: 'ignore' });
  });

  it('is not what a lower one said already while the better one was heard, be it the old target or a third', () => {
    const truth = afterSwitch();
    truth.note(dns, target('c'));
    truth.judge(watch, target('b'), 2000);
    expect(truth.judge(dns, target('c'), 3000)).toMatchObject({ verdict: 'ignore' });
  });

  it('is a third target, too, where the lower one was first heard before the better one spoke again', () => {
    const truth = new NewestTruth(settleMillis);
    truth.judge(watch, target('b'), 0);
    truth.judge(dns, target('a'), 1000);
    truth.judge(watch, target('b'), 2000);
    expect(truth.judge(dns, target('c'), 3000)).toEqual({ verdict: 'adopt' });
  });

  it('is the word of the better one where that names what a lower one named before', () => {
    const truth = new NewestTruth(settleMillis);
    truth.judge(dns, target('b'), 0);
    truth.judge(watch, target('b'), 1000);
    truth.note(dns, target('a'));
    expect(truth.judge(dns, target('a'), 2000)).toMatchObject({ verdict: 'ignore' });
  });

  it('is never changed by what is stale', () => {
    const truth = afterSwitch();
    expect(truth.judge(watch, target('a', true), 999_999)).toMatchObject({ verdict: 'ignore' });
    expect(truth.judge(dns, target('c', true), 999_999)).toMatchObject({ verdict: 'ignore' });
    expect(truth.target).toEqual(target('b'));
  });

  it('is what is stale only until anybody has something good', () => {
    const truth = new NewestTruth(settleMillis);
    truth.judge(watch, target('a', true), 0);
    expect(truth.judge(dns, target('b'), 1)).toEqual({ verdict: 'adopt' });
  });
});
