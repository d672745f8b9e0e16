// Settings that the new version asks for: nothing begins before something was said of each, and what was said survives.

import { fireEvent, screen, waitFor } from '@testing-library/svelte';
import { describe, expect, it } from 'vitest';
import { open } from '../../../tests/open';
import type { AskedSettingView } from '../../ipc/bindings';
import { scene, type Scene } from '../../ipc/fixture/scenes';
import * as w from '../../ipc/fixture/world';

const AT = '#/app/filaops/update';

/** An engine that keeps what is said, as the real one does. */
function keeping(): Scene {
  let asked: AskedSettingView[] = w.ASKED;
  const view = () => w.plan({ asked, lines: asked.every((it) => it.answered) ? w.LINES : [] });
  return {
    ...scene('update-asked'),
    plan: view,
    say_of_setting: (({ key, value }: { key: string; value: string | null }) => {
      asked = asked.map((it) =>
        it.key === key ? { ...it, answered: true, value: it.secret ? null : value } : it,
      );
      return view();
    }) as Scene['say_of_setting'],
  };
}
const within = (testid: string, inner: string) => {
  const found = screen.getByTestId(testid).querySelector(`[data-testid="${inner}"]`);
  if (!found) throw new Error(`there is no ${inner} in ${testid}`);
  return found;
};

describe('what the new version asks for', () => {
  it('is said in plain words with its reason, and holds the update back until each has a value', async () => {
    const { calls } = await open(keeping(), AT);
    const asked = await screen.findByTestId('asked');
    expect(asked.textContent).toContain('Key of sessions');
    expect(asked.textContent).toContain('People stay signed in with it.');
    expect(asked.textContent).toContain('SECRET_KEY in .env');
    expect(screen.getByTestId('waits-for-settings').textContent).toContain('once each setting has a value');
    expect(screen.queryByTestId('act-update-now')).toBeNull();

    await fireEvent.click(within('asked-SECRET_KEY', 'act-generate'));
    await waitFor(() =>
      expect(screen.getByTestId('asked-SECRET_KEY').textContent).toContain('Kept, and hidden'),
    );
    expect(screen.queryByTestId('act-update-now')).toBeNull();
    const field = within('asked-CURRENCY', 'setting-value') as HTMLInputElement;
    expect(field.value).toBe('EUR');
    await fireEvent.input(field, { target: { value: 'CHF' } });
    await fireEvent.click(within('asked-CURRENCY', 'act-use'));
    await screen.findByTestId('act-update-now');
    expect(calls('say_of_setting')).toEqual([
      { name: 'filaops', key: 'SECRET_KEY', value: null, to: '4.2.0' },
      { name: 'filaops', key: 'CURRENCY', value: 'CHF', to: '4.2.0' },
    ]);
    const lines = screen.getByTestId('lines').textContent;
    expect(lines).toContain('FILAOPS_VERSION=4.1.0');
    expect(lines).toContain('FILAOPS_VERSION=4.2.0');
    expect(lines).toContain('CURRENCY=CHF');
  });

  it('is there again when the page was left and is opened anew, and can be changed', async () => {
    const { calls } = await open(keeping(), AT);
    await screen.findByTestId('asked');
    await fireEvent.click(within('asked-CURRENCY', 'act-use'));
    await waitFor(() => expect(screen.getByTestId('asked-CURRENCY').textContent).toContain('EUR'));
    location.hash = '#/';
    await waitFor(() => expect(screen.queryByTestId('asked')).toBeNull());
    location.hash = AT;
    await waitFor(() => expect(screen.getByTestId('asked-CURRENCY').textContent).toContain('EUR'));
    await fireEvent.click(within('asked-CURRENCY', 'act-change'));
    expect((within('asked-CURRENCY', 'setting-value') as HTMLInputElement).value).toBe('EUR');
    await fireEvent.input(within('asked-CURRENCY', 'setting-value'), { target: { value: 'SEK' } });
    await fireEvent.click(within('asked-CURRENCY', 'act-use'));
    await waitFor(() => expect(calls('say_of_setting')).toHaveLength(2));
    await waitFor(() => expect(screen.getByTestId('asked-CURRENCY').textContent).toContain('SEK'));
  });

  it('stays open with what was typed where it is not taken', async () => {
    const told = { ...keeping(), say_of_setting: () => Promise.reject(w.mistake() as never) };
    await open(told, AT);
    await screen.findByTestId('asked');
    await fireEvent.input(within('asked-SECRET_KEY', 'setting-value'), { target: { value: 'mine' } });
    await fireEvent.click(within('asked-SECRET_KEY', 'act-use'));
    await waitFor(() => expect(screen.getByTestId('asked').textContent).toContain(w.mistake().message));
    expect((within('asked-SECRET_KEY', 'setting-value') as HTMLInputElement).value).toBe('mine');
    expect((within('asked-SECRET_KEY', 'setting-value') as HTMLInputElement).type).toBe('password');
  });
});
