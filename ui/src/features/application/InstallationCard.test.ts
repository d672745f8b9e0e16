// A result stays as a line on its card until a window has shown it.

import { screen, waitFor } from '@testing-library/svelte';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { open } from '../../../tests/open';
import { home } from '../../ipc/fixture/scenes';
import { app, installation, outcome, upgrade } from '../../ipc/fixture/world';
import { ALL_OUTCOMES } from '../../words/outcomes';

afterEach(() => vi.restoreAllMocks());

describe('a result that no window has shown', () => {
  it.each(ALL_OUTCOMES)('%s is a line that leads to it, and is told as shown once', async (result) => {
    const { client, calls } = await open(home({ version: '4.2.0', unseen: outcome({ result }) }));
    const line = screen.getByTestId('unseen');
    expect(line.getAttribute('href')).toBe('#/app/filaops/upgrade/u1');
    expect(/running/.test(line.textContent)).toBe(result === 'success');
    expect(calls('seen')).toEqual([{ id: 'u1' }]);
    // The engine says now that it was seen: the line stays for who looks at it, and is not told again.
    client.say('app', app([installation({ version: '4.2.0', unseen: null })]));
    await waitFor(() => expect(screen.getByTestId('unseen')).toBeTruthy());
    expect(calls('seen')).toHaveLength(1);
  });

  it('is not told as shown by a window that nobody can see', async () => {
    vi.spyOn(document, 'visibilityState', 'get').mockReturnValue('hidden');
    const { calls } = await open(home({ unseen: outcome() }));
    expect(screen.getByTestId('unseen')).toBeTruthy();
    expect(calls('seen')).toEqual([]);
  });

  it('is told again where the engine could not take it down', async () => {
    const { client, mirror, calls } = await open({
      ...home({ unseen: outcome() }),
      seen: () => Promise.reject(new Error('busy')),
    });
    await waitFor(() => expect(calls('seen')).toHaveLength(1));
    await Promise.resolve();
    const { app: view } = mirror;
    if (view) client.say('app', { ...view, installations: [installation({ unseen: outcome() })] });
    await waitFor(() => expect(calls('seen').length).toBeGreaterThan(1));
  });

  it('goes when the next update begins', async () => {
    const { client } = await open(home({ unseen: outcome() }));
    client.say('app', app([installation({ upgrade: upgrade({ upgrade_id: 'u2' }) })]));
    await waitFor(() => expect(screen.queryByTestId('unseen')).toBeNull());
    client.say('app', app([installation()]));
    await waitFor(() => expect(screen.getByTestId('act-open')).toBeTruthy());
    expect(screen.queryByTestId('unseen')).toBeNull();
  });
});

it('what was brought back stands on its card until someone says that they know', async () => {
  await open(home({ upgrade: upgrade({ state: 'rolled_back', active: false, result: 'rolled_back' }) }));
  expect(screen.getByTestId('unseen').textContent).toContain('was brought back');
});
