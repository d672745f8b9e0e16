// What mends a finding is done on the page, or followed where it takes a while.

import { fireEvent, screen, waitFor } from '@testing-library/svelte';
import { expect, it } from 'vitest';
import { open } from '../../../tests/open';
import { scene } from '../../ipc/fixture/scenes';
import { ELSEWHERE, plan } from '../../ipc/fixture/world';

const elsewhere = (begun: string | null) => {
  const findings = begun ? ELSEWHERE : [];
  return { ...scene('update-elsewhere'), fix_finding: () => plan({ begun, findings }) };
};

it('follows a move of the data that has begun', async () => {
  const { calls } = await open(elsewhere('u1'), '#/app/filaops/update');
  await waitFor(() => expect(screen.getByText('Take the data along')).toBeTruthy());
  await fireEvent.click(screen.getByText('Take the data along'));
  await waitFor(() => expect(location.hash).toBe('#/app/filaops/upgrade/u1'));
  expect(calls('fix_finding')).toEqual([{ name: 'filaops', fix: 'move_data', to: '4.2.0' }]);
});

it('stays where the data only had to be named', async () => {
  await open(elsewhere(null), '#/app/filaops/update');
  await waitFor(() => expect(screen.getByText('Take the data along')).toBeTruthy());
  await fireEvent.click(screen.getByText('Take the data along'));
  await waitFor(() => expect(screen.getByTestId('fixed-database_major')).toBeTruthy());
  expect(location.hash).toBe('#/app/filaops/update');
});
