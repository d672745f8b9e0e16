// No result may be told as another one: each word of the engine has its own sentence.

import { describe, expect, it } from 'vitest';
import type { Outcome } from '../ipc/bindings';
import { NOW, installation, outcome, upgrade } from '../ipc/fixture/world';
import { ALL_OUTCOMES, ALL_TRUST, lineOf, outcomeWords, trustLong, trustShort, unseenSays } from './outcomes';

const now = Date.parse(NOW);
const says = (result: Outcome, version: string) =>
  unseenSays(installation({ version }), outcome({ result }), now);

describe('the line of a result', () => {
  it.each<[Outcome, string, string]>([
    ['success', '4.2.0', '4.2.0 is running. It was finished 7 hours ago.'],
    ['rolled_back', '4.1.0', 'The update to 4.2.0 was brought back.'],
    ['rollback_failed', '4.1.0', 'FilaOps could not be brought back. The steps are ready.'],
    ['failed', '4.1.0', 'The update to 4.2.0 stopped. Nothing was changed.'],
    ['refused', '4.1.0', 'The update to 4.2.0 was not started. Nothing was changed.'],
    ['aborted_by_user', '4.1.0', 'You stopped the update to 4.2.0. Nothing was changed.'],
  ])('%s', (result, version, sentence) => {
    expect(says(result, version)).toBe(sentence);
  });

  it('has a sentence and a label of its own for every word', () => {
    expect(new Set(ALL_OUTCOMES.map((it) => says(it, '4.2.0'))).size).toBe(ALL_OUTCOMES.length);
    expect(new Set(ALL_OUTCOMES.map(outcomeWords)).size).toBe(ALL_OUTCOMES.length);
  });

  it('does not say that a version runs which was not seen to run', () => {
    const unknown = { ...outcome(), kind: null };
    expect(unseenSays(installation(), unknown, now)).toBe('What was asked for with 4.2.0 ended well.');
    expect(unseenSays(installation(), { ...outcome(), kind: 'rehearsal' } as never, now)).toBe(
      'The rehearsal of 4.2.0 passed. Nothing was changed.',
    );
    expect(unseenSays(installation(), { ...outcome(), kind: 'restore' } as never, now)).toBe(
      'A backup was put back.',
    );
    const rehearsed = upgrade({ state: 'complete', kind: 'rehearsal', active: false });
    expect(unseenSays(installation({ upgrade: rehearsed }), unknown, now)).toBe(
      'The rehearsal of 4.2.0 passed. Nothing was changed.',
    );
  });

  it('is there without a time', () => {
    expect(unseenSays(installation({ version: '4.2.0' }), outcome({ finished_at: null }), now)).toBe(
      '4.2.0 is running.',
    );
  });
});

describe('an upgrade that nobody has acknowledged', () => {
  it('has a line by its result, else by its state', () => {
    const over = { active: false, state: 'failed' } as const;
    expect(lineOf(upgrade({ ...over, result: 'aborted_by_user' }))?.result).toBe('aborted_by_user');
    expect(lineOf(upgrade({ ...over, state: 'needs_attention' }))?.result).toBe('rollback_failed');
    expect(lineOf(upgrade())).toBeUndefined();
    expect(lineOf(upgrade({ ...over, acknowledged_at: NOW }))).toBeUndefined();
  });
});

describe('what vouches for a release', () => {
  it.each(ALL_TRUST)('%s is called by its own words', (trust) => {
    const others = ALL_TRUST.filter((it) => it !== trust);
    expect(others.map(trustShort)).not.toContain(trustShort(trust));
    expect(others.map(trustLong)).not.toContain(trustLong(trust));
  });
  it('calls signed only what is signed', () => {
    expect(trustShort('signed_manifest')).toBe('signed');
    expect(trustShort('checksum')).toContain('not signed');
    expect(trustShort('none')).toBe('not signed');
    expect(trustLong(null)).toBe('Not measured');
  });
});
