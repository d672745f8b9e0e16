// Rows that are there already: nothing is brought in before it is said of each, or of all, which one stays.

import { fireEvent, screen, waitFor } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { describe, expect, it } from 'vitest';
import { open } from '../../../tests/open';
import { mapping } from '../../ipc/fixture/wishes';

/** Clicks one of several. */
const press = async (testid: string, at: number) => {
  const found = (await screen.findAllByTestId(testid))[at];
  if (found) await userEvent.click(found);
};

describe('what comes into which column', () => {
  // The document of these tests tells of a list only that its first entry was chosen; `tests/window` chooses others.
  const pick = async (testid: string, value: string) =>
    userEvent.selectOptions(await screen.findByTestId(testid), value);

  it('is shown with its reason, changed column by column, and put back', async () => {
    const { calls } = await open('breaking-mapping');
    const asked = (what: object) => waitFor(() => expect(calls('leaving_map').at(-1)).toMatchObject(what));
    await userEvent.click(await screen.findByTestId('act-mapping'));
    const customers = await screen.findByTestId('mapping-customers');
    expect(customers.textContent).toContain('Has the same name.');
    expect(customers.textContent).toContain('The types differ.');
    expect(screen.getByTestId('mapping-orders with their lines').textContent).toContain(
      'Taken in by the application itself',
    );
    await pick('map-customers-name', '-');
    await asked({
      changes: [{ entity: 'customers', column: 'name', from: null, value: null, list: false }],
      reset: false,
    });
    const text = screen.getByTestId('map-text-customers-language');
    await fireEvent.change(text, { target: { value: 'en' } });
    await asked({ changes: [{ column: 'language', value: 'en' }] });
    await pick('map-orders with their lines-lines', '-');
    await asked({ changes: [{ column: 'lines', from: null, list: false }] });
    await userEvent.click(screen.getByTestId('act-mapping-reset'));
    await asked({ changes: [], reset: true });
  });

  it('says what is missing, and keeps the change until it is remembered', async () => {
    const missing = 'In the mapping of customers: “email” needs a value, and nothing comes into it.';
    const { client, calls } = await open('breaking-mapping');
    await userEvent.click(await screen.findByTestId('act-mapping'));
    Object.assign(client.told, { leaving_map: () => mapping({ problem: missing }) });
    await pick('map-customers-email', '-');
    expect((await screen.findByTestId('mapping-problem')).textContent).toContain(missing);
    Object.assign(client.told, { leaving_map: () => mapping() });
    await pick('map-customers-name', '-');
    await waitFor(() =>
      expect(calls('leaving_map').at(-1)).toMatchObject({
        changes: [{ column: 'email' }, { column: 'name' }],
      }),
    );
    await waitFor(() => expect(screen.queryByTestId('mapping-problem')).toBeNull());
  });
});

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
