import { expect, test } from '@playwright/test';
import { NOW } from '../src/ipc/fixture/world';

test.beforeEach(({ page }) => page.clock.setFixedTime(NOW));

test('home shows the one application and its waiting update', async ({ page }) => {
  await page.goto('/?scene=home');
  await expect(page.getByTestId('card-filaops')).toContainText('Running well');
  await expect(page.getByTestId('notice-2')).toContainText('FilaOps is 12 days and 1 version behind.');
});
