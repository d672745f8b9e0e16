// Rows that are there already: nothing is brought in before it is said of each, or of all, which one stays.

import { screen } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { describe, expect, it } from 'vitest';
import { open } from '../../../tests/open';

/** Clicks one of several. */
const press = async (testid: string, at: number) => {
  const found = (await screen.findAllByTestId(testid))[at];
  if (found) await userEvent.click(found);
};

describe('rows that are there already', () => {
  it('are shown beside those that would come, and each is answered', async () => {
    const { calls } = await open('breaking-pairs');
    const pairs = await screen.findAllByTestId('pair');
    expect(pairs).toHaveLength(2);
    expect(pairs[0]?.textContent).toContain('Ada Filament & Söhne');
    expect(pairs[0]?.querySelectorAll('.differs')).toHaveLength(2);
    expect(screen.queryByTestId('act-bring-in')).toBeNull();
    expect(screen.getByTestId('missing').textContent).toBe('Say first which rows stay.');
    await press('act-take', 0);
    expect(screen.queryByTestId('act-bring-in')).toBeNull();
    await press('act-keep', 1);
    expect(screen.getAllByTestId('act-keep')[1]?.getAttribute('aria-pressed')).toBe('true');
    await userEvent.click(screen.getByTestId('act-bring-in'));
    expect(calls('leaving_begin')[0]).toMatchObject({
      act: 'bring_in',
      duplicates: null,
      answers: [
        { entity: 'customers', key: '17', takes: true },
        { entity: 'customers', key: '21', takes: false },
      ],
    });
  });

  it('are answered for all at once, but for those of which something else is said then', async () => {
    const { calls } = await open('breaking-pairs');
    await press('act-take', 1);
    await userEvent.click(screen.getByTestId('act-keep-all'));
    expect(screen.getAllByTestId('act-keep').map((it) => it.getAttribute('aria-pressed'))).toEqual([
      'true',
      'true',
    ]);
    await press('act-take', 0);
    await userEvent.click(screen.getByTestId('act-bring-in'));
    expect(calls('leaving_begin')[0]).toMatchObject({
      duplicates: 'skip',
      answers: [{ entity: 'customers', key: '17', takes: true }],
    });
  });

  it('say what is new and what is another after going back', async () => {
    await open('go-back-tried');
    expect((await screen.findByTestId('since')).textContent).toBe(
      'New in 5.0.0: 14 orders with their lines. Changed there: 2 customers.',
    );
  });
});
