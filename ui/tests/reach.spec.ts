// Who uses no mouse, wants nothing to move, or needs more contrast: every place, in a real browser.

import AxeBuilder from '@axe-core/playwright';
import { expect, test, type Page } from '@playwright/test';
import { SCENES } from '../src/ipc/fixture/scenes';
import { NOW } from '../src/ipc/fixture/world';

const PLACES = [
  'welcome',
  'home',
  'home-cards',
  'home-disk',
  'update',
  'update-findings',
  'progress-backup',
  'progress-question',
  'result-needs-you',
  'backups',
  'backups-many',
  'backup',
  'restore',
  'breaking-choose',
  'history',
  'settings',
  'help',
];

async function open(page: Page, name: string): Promise<void> {
  await page.clock.setFixedTime(NOW);
  await page.goto(`/?scene=${name}${SCENES[name]?.at ?? ''}`);
  await expect(page.getByTestId('page-title').first()).toBeAttached();
  await page.evaluate(() => document.fonts.ready);
}

/** Marks everything that a mouse could use, and answers how much that is. */
function mark(page: Page): Promise<number> {
  return page.evaluate(() => {
    const all = [...document.querySelectorAll<HTMLElement>('a[href], button, input, select, textarea')];
    const seen = all.filter((it) => {
      const box = it.getBoundingClientRect();
      return box.width > 0 && box.height > 0 && !it.matches(':disabled, .skip');
    });
    seen.forEach((it, at) => (it.dataset['place'] = at.toString()));
    return seen.length;
  });
}

/** What has the focus now: its place, and what is wrong with how that can be seen. */
function focused(page: Page): Promise<{ place: string | null; wrong: string | null }> {
  return page.evaluate(() => {
    const it = document.activeElement;
    if (!(it instanceof HTMLElement) || it === document.body) return { place: null, wrong: null };
    const style = getComputedStyle(it);
    const box = it.getBoundingClientRect();
    const ring = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2;
    const away = box.bottom <= 0 || box.top >= innerHeight || box.right <= 0 || box.left >= innerWidth;
    const name = it.dataset['testid'] ?? it.textContent.trim();
    const wrong = !ring ? `${name} has no ring` : away ? `${name} is out of sight` : null;
    return { place: it.dataset['place'] ?? null, wrong };
  });
}

for (const name of PLACES) {
  test(`Tab reaches everything in ${name}, and it is seen where it is`, async ({ page }) => {
    await open(page, name);
    const all = await mark(page);
    expect(all).toBeGreaterThan(0);
    const reached = new Set<string>();
    for (let pressed = 0; pressed < 2 * all + 10 && reached.size < all; pressed += 1) {
      await page.keyboard.press('Tab');
      const { place, wrong } = await focused(page);
      expect(wrong).toBeNull();
      if (place !== null) reached.add(place);
    }
    const missed = await page.evaluate(
      (reached) =>
        [...document.querySelectorAll<HTMLElement>('[data-place]')]
          .filter((it) => !reached.includes(it.dataset['place'] ?? ''))
          .map((it) => it.outerHTML.slice(0, 120)),
      [...reached],
    );
    expect(missed).toEqual([]);
  });

  test(`more contrast in ${name}`, async ({ page }) => {
    await open(page, name);
    for (const theme of ['light', 'dark']) {
      await page.evaluate((theme) => {
        Object.assign(document.documentElement.dataset, { theme, contrast: 'more' });
      }, theme);
      const { violations } = await new AxeBuilder({ page }).withRules(['color-contrast-enhanced']).analyze();
      const faint = violations.flatMap((it) => it.nodes.map((node) => `${theme}: ${node.html}`));
      expect(faint).toEqual([]);
    }
  });
}

for (const [name, begin] of [
  ['home-daily', undefined],
  ['restore-confirm', ['act-next', 'act-next', 'act-restore']],
  ['prune', ['act-prune']],
] as const) {
  test(`the question of ${name} holds the focus, begins at what is safe, and Esc is safe`, async ({
    page,
  }) => {
    await open(page, name);
    for (const it of begin ?? []) await page.getByTestId(it).click();
    const dialog = page.locator('[role="dialog"], [role="alertdialog"]');
    await expect(dialog).toBeVisible();
    const inside = () => page.evaluate(() => document.activeElement?.closest('[role$="dialog"]') !== null);
    await expect.poll(inside).toBe(true);
    const first = await page.evaluate(() => document.activeElement?.className ?? '');
    expect(first).not.toContain('destructive');
    for (let pressed = 0; pressed < 8; pressed += 1) {
      await page.keyboard.press('Tab');
      expect(await inside()).toBe(true);
    }
    await page.keyboard.press('Escape');
    await expect(dialog).toHaveCount(0);
    const called = await page.evaluate(() =>
      (window as unknown as { fixture: { called: { command: string }[] } }).fixture.called.map(
        (it) => it.command,
      ),
    );
    expect(called.filter((it) => /^(restore|prune|start)/.test(it))).toEqual([]);
  });
}

test('a menu opens, is walked through and closed by keys, and gives the focus back', async ({ page }) => {
  await open(page, 'update');
  await page.getByTestId('act-later').focus();
  await page.keyboard.press('Enter');
  await expect(page.getByTestId('menu-tonight')).toBeFocused();
  await page.keyboard.press('ArrowDown');
  await expect(page.getByTestId('menu-other')).toBeFocused();
  await page.keyboard.press('Escape');
  await expect(page.getByTestId('act-later')).toBeFocused();
});

for (const motion of ['reduce', 'no-preference'] as const) {
  test(`what moves where the system says ${motion}`, async ({ page }) => {
    await page.emulateMedia({ reducedMotion: motion });
    await open(page, 'progress');
    const endless = () =>
      page.evaluate(
        () =>
          document
            .getAnimations()
            .filter(
              (it) => it.playState === 'running' && it.effect?.getComputedTiming().iterations === Infinity,
            ).length,
      );
    // One dot breathes, and nothing else.
    await expect.poll(endless).toBe(motion === 'reduce' ? 0 : 1);
    if (motion === 'reduce') expect(await page.evaluate(() => document.getAnimations().length)).toBe(0);
  });
}

test('progress is spoken at each phase and each quarter, not at each percent', async ({ page }) => {
  await open(page, 'progress');
  const spoken = page.getByTestId('spoken');
  await expect(spoken).toHaveAttribute('aria-live', 'polite');
  const tell = (progress: number, seq: number) =>
    page.evaluate(
      async ({ progress, seq }) => {
        type Fixture = {
          say: (event: string, view: unknown) => void;
          call: (name: string) => Promise<object>;
        };
        const { fixture } = window as unknown as { fixture: Fixture };
        const view = await fixture.call('upgrade');
        fixture.say('upgrade', { ...view, progress, seq: seq.toString() });
      },
      { progress, seq },
    );
  await tell(51, 1001);
  await expect(page.getByTestId('percent')).toContainText('51');
  const at51 = await spoken.textContent();
  await tell(74, 1002);
  await expect(page.getByTestId('percent')).toContainText('74');
  expect(await spoken.textContent()).toBe(at51);
  await tell(75, 1003);
  await expect(spoken).not.toHaveText(at51 ?? '');
});
