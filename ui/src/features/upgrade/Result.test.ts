// A result is announced once, and says of the data only what was seen.

import { screen, waitFor } from '@testing-library/svelte';
import { describe, expect, it } from 'vitest';
import { open } from '../../../tests/open';
import { ofUpgrade } from '../../ipc/fixture/scenes';
import { app, installation, mistake, outcome, upgrade } from '../../ipc/fixture/world';
import { paragraphs } from './words';

const over = { active: false, result: 'success', state: 'complete', way_out: 'none' } as const;

describe('announcing', () => {
  it('is an alert, and told as seen, also where the card says later that it is news', async () => {
    const { client, calls } = await open(ofUpgrade({}), '#/app/filaops/upgrade/u1');
    await waitFor(() => expect(screen.getByTestId('percent')).toBeTruthy());
    client.say('upgrade', upgrade({ ...over, seq: '50' }));
    await waitFor(() => expect(screen.getByTestId('outcome').getAttribute('role')).toBeNull());
    expect(calls('seen')).toEqual([]);
    client.say('app', app([installation({ upgrade: upgrade({ ...over, seq: '50' }), unseen: outcome() })]));
    await waitFor(() => expect(screen.getByTestId('outcome').getAttribute('role')).toBe('alert'));
    expect(calls('seen')).toEqual([{ id: 'u1' }]);
  });

  it('is silent where it was seen before', async () => {
    const { calls } = await open(ofUpgrade({ ...over }), '#/app/filaops/upgrade/u1');
    await waitFor(() => expect(screen.getByTestId('outcome')).toBeTruthy());
    expect(screen.getByTestId('outcome').getAttribute('role')).toBeNull();
    expect(calls('seen')).toEqual([]);
  });
});

describe('what is said of the data', () => {
  const needy = {
    active: false,
    state: 'needs_attention',
    error: mistake({ message: 'It is stuck' }),
  } as const;
  it.each([
    [true, 'the folder /srv/x__original', 'Your original data is untouched, in the folder /srv/x__original.'],
    [true, null, 'Your original data is untouched.'],
    [
      false,
      'the folder /srv/x__original',
      'Whether the original is whole could not be checked. Delete nothing.',
    ],
    [null, null, 'Whether the original is whole could not be checked. Delete nothing.'],
  ])('needs you, whole: %s, in %s', (original_is_whole, original_place, sentence) => {
    const said = paragraphs(upgrade({ ...needy, original_is_whole, original_place }), null).join(' ');
    expect(said).toContain(sentence);
    expect(said.includes('untouched')).toBe(original_is_whole === true);
  });

  it('a stop that was asked for has no reason to be looked for', () => {
    const said = paragraphs(upgrade({ state: 'failed', active: false, result: 'aborted_by_user' }), null);
    expect(said).toEqual(['The update to 4.2.0 was stopped before FilaOps was touched.']);
  });

  it('a restore does not say that everything from before is there', () => {
    expect(paragraphs(upgrade({ ...over, kind: 'restore' }), null)).toEqual([]);
  });
});
