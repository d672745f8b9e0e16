// Every screen in every state, in both themes: nothing that axe finds, nothing the policy forbids, nothing cut off at
// 200 % text. With PICTURES=1 each is photographed into docs/screenshots.

import AxeBuilder from '@axe-core/playwright';
import { expect, test, type Page } from '@playwright/test';
import { SCENES } from '../src/ipc/fixture/scenes';
import { NOW } from '../src/ipc/fixture/world';

const PICTURES = process.env['PICTURES'] === '1';
/** Begins where a click has to be made first. */
const BEGINS: Record<string, (page: Page) => Promise<void>> = {
  'welcome-found': (page) => page.getByTestId('way-find').click(),
  'welcome-nothing': (page) => page.getByTestId('way-find').click(),
  'welcome-looking': (page) => page.getByTestId('way-find').click(),
  'welcome-question': async (page) => {
    await page.getByTestId('way-find').click();
    await page.getByTestId('act-look-after').first().click();
    await expect(page.getByTestId('answer')).toBeVisible();
  },
  'welcome-file': async (page) => {
    await page.getByTestId('way-find').click();
    await page.getByTestId('act-look-after').click();
    await expect(page.getByTestId('answer')).toBeVisible();
  },
  'welcome-last': async (page) => {
    await page.getByTestId('way-find').click();
    await page.getByTestId('act-look-after').nth(1).click();
    await expect(page.getByTestId('act-next')).toBeVisible();
  },
  'home-daily': (page) => expect(page.getByTestId('daily-dialog')).toBeVisible(),
  'go-back': async (page) => {
    await page.getByTestId('more').click();
    await page.getByTestId('menu-go-back').click();
    await expect(page.getByTestId('go-back-dialog')).toBeVisible();
  },
  'update-later': async (page) => {
    await page.getByTestId('act-later').click();
    await expect(page.getByTestId('menu-tonight')).toBeVisible();
  },
  'breaking-mapping': (page) => page.getByTestId('act-mapping').click(),
  'breaking-preview': async (page) => {
    await page.getByRole('button', { name: 'Preview of Customers' }).click();
    await expect(page.getByRole('table')).toBeVisible();
  },
  'lock-recovery': async (page) => {
    await page.getByTestId('act-set-lock').click();
    await page.getByTestId('lock-passphrase').fill('a long passphrase');
    await page.getByTestId('lock-again').fill('a long passphrase');
    await page.getByTestId('act-lock-go').click();
    await expect(page.getByTestId('recovery-code')).toBeVisible();
  },
  'backups-found': async (page) => {
    await page.getByTestId('filter-kept').click();
    await page.getByTestId('filter-place').selectOption('copied');
    await expect(page.getByTestId('filter-says')).toHaveText('2 of 31 backups');
  },
  'backups-no-match': async (page) => {
    await page.keyboard.press('Control+f');
    await page.keyboard.type('5.0 holidays');
    await expect(page.getByTestId('no-match')).toBeVisible();
  },
  'backup-parts': async (page) => {
    await page.getByTestId('rows-database').click();
    await page.getByTestId('details-database').click();
    await page.getByTestId('part-database').scrollIntoViewIfNeeded();
  },
  'backups-file-looking': async (page) => {
    await page.getByTestId('act-from-file').click();
    await tells(page, {
      act: 'inspect',
      about: 'filaops-laptop.sql.gz',
      message: 'Looking into the file. Nothing is touched.',
    });
    await page.getByTestId('job').scrollIntoViewIfNeeded();
  },
  'tables-looking': async (page) => {
    await page.getByTestId('act-look-table').last().click();
    await tells(page, {
      act: 'look_at',
      about: 'public.orders',
      message: 'Restoring one table. The application’s data is not touched.',
    });
  },
  'backup-proving': (page) =>
    tells(page, { act: 'prove', about: 'b1', message: 'Restoring the backup on the side, to prove it.' }),
  'backup-damaged-copy': (page) => expect(page.getByTestId('copy-damaged')).toBeVisible(),
  'backup-remove': async (page) => {
    await page.getByTestId('act-remove-backup').click();
    await expect(page.getByTestId('remove-backup-dialog')).toBeVisible();
  },
  'restore-confirm': async (page) => {
    await page.getByTestId('act-next').click();
    await page.getByTestId('act-next').click();
    await page.getByTestId('act-restore').click();
    await expect(page.getByTestId('restore-dialog')).toBeVisible();
  },
  'tables-looked': async (page) => {
    await page.getByTestId('act-look-table').last().click();
    await expect(page.getByTestId('look')).toBeVisible();
  },
  'backups-file': async (page) => {
    await page.getByTestId('act-from-file').click();
    await page.getByTestId('file-seen').scrollIntoViewIfNeeded();
  },
  'backups-file-run': async (page) => {
    await page.getByTestId('act-from-file').click();
    await page.getByTestId('act-adopt').click();
    await expect(page.getByTestId('run-dialog')).toBeVisible();
  },
  'backups-file-other': async (page) => {
    await page.getByTestId('act-from-file').click();
    await page.getByTestId('file-seen').scrollIntoViewIfNeeded();
  },
  'backups-encrypted': (page) => page.getByTestId('safekeeping').scrollIntoViewIfNeeded(),
  'backups-safe-of-three': (page) => page.getByTestId('safekeeping').scrollIntoViewIfNeeded(),
  'backups-encrypt-again': (page) => page.getByTestId('safekeeping').scrollIntoViewIfNeeded(),
  'backups-other-passphrase': async (page) => {
    await page.getByTestId('act-encrypt').click();
    await page.getByTestId('key-passphrase').fill('a lantern on the quay');
    await page.getByTestId('key-again').fill('a lantern on the quay');
    await page.getByTestId('act-encrypt-go').click();
    await expect(page.getByTestId('key-other')).toBeVisible();
  },
  'backups-encrypt': async (page) => {
    await page.getByTestId('act-encrypt').click();
    await expect(page.getByTestId('encrypt-dialog')).toBeVisible();
  },
  prune: async (page) => {
    await page.getByTestId('act-prune').click();
    await expect(page.getByTestId('prune-dialog')).toBeVisible();
  },
  'close-first': (page) => asksToClose(page, 'first_close'),
  'close-no-tray': (page) => asksToClose(page, 'no_tray'),
  'close-updating': (page) => asksToClose(page, 'quit_during_upgrade'),
  'settings-locked': async (page) => {
    await page.getByTestId('locked').click();
    await expect(page.getByTestId('unlock-dialog')).toBeVisible();
  },
  'update-loading': (page) => expect(page.getByTestId('waiting')).toBeVisible(),
  'update-notes': (page) => expect(page.locator('.markdown')).toBeVisible(),
  'update-hostile': (page) => expect(page.locator('.markdown')).toBeVisible(),
  'update-huge': (page) => expect(page.locator('.markdown')).toBeVisible(),
};

/** Something on backups is under way. */
async function tells(page: Page, over: Record<string, string>): Promise<void> {
  await page.evaluate((over) => {
    type Fixture = { say: (event: string, view: unknown) => void; call: (name: string) => Promise<object> };
    const { fixture } = window as unknown as { fixture: Fixture };
    return fixture.call('back_up').then((job) => fixture.say('job', { ...job, ...over }));
  }, over);
  await expect(page.getByTestId('job')).toBeVisible();
}

async function asksToClose(page: Page, why: string): Promise<void> {
  await page.evaluate((why) => {
    const { fixture } = window as unknown as { fixture: { say: (event: string, view: unknown) => void } };
    fixture.say('ask_close', { why });
  }, why);
  await expect(page.getByTestId('close-dialog')).toBeVisible();
}

async function open(page: Page, name: string): Promise<string[]> {
  const complaints: string[] = [];
  page.on('console', (it) => {
    if (it.type() === 'error' || it.type() === 'warning') complaints.push(it.text());
  });
  page.on('pageerror', (it) => complaints.push(it.message));
  await page.route('**/favicon.ico', (it) => it.fulfill({ status: 204 }));
  await page.clock.setFixedTime(NOW);
  await page.goto(`/?scene=${name}${SCENES[name]?.at ?? ''}`);
  await expect(page.getByTestId('page-title').first()).toBeAttached();
  await BEGINS[name]?.(page);
  await page.evaluate(() => document.fonts.ready);
  return complaints;
}

for (const name of Object.keys(SCENES)) {
  test(name, async ({ page }) => {
    // 200 rows are many times the same one: a slow machine takes a minute for them.
    if (name === 'home-200') test.slow();
    const complaints = await open(page, name);
    expect(await found(new AxeBuilder({ page }))).toEqual([]);
    await picture(page, `${name}-light`);
    // The same page in other colours: only they can be wrong now.
    await page.evaluate(() => (document.documentElement.dataset['theme'] = 'dark'));
    expect(await found(new AxeBuilder({ page }).withRules(['color-contrast']))).toEqual([]);
    await picture(page, `${name}-dark`);
    await page.evaluate(() => (document.documentElement.style.fontSize = '200%'));
    expect(await overflowing(page), 'cut off at 200 % text').toEqual([]);
    expect(complaints).toEqual([]);
  });
}

test('hostile release notes run nothing, load nothing and call nothing', async ({ page }) => {
  const asked: string[] = [];
  page.on('request', (it) => asked.push(it.url()));
  await open(page, 'update-hostile');
  await expect(page.locator('.markdown')).toContainText('turned round');
  const state = await page.evaluate(() => ({
    hacked: 'hacked' in window,
    tags: [...document.querySelectorAll('.markdown *')].map((it) => it.tagName),
    hrefs: [...document.querySelectorAll('.markdown a')].map((it) => it.getAttribute('href')),
    called: (window as unknown as { fixture: { called: { command: string }[] } }).fixture.called,
  }));
  expect(state.hacked).toBe(false);
  expect(state.hrefs).toEqual(['https://filaops.example/docs']);
  expect(
    state.tags.filter((it) => /SCRIPT|IMG|SVG|IFRAME|STYLE|FORM|INPUT|VIDEO|OBJECT|LINK/.test(it)),
  ).toEqual([]);
  expect(asked.filter((it) => !it.startsWith('http://localhost:4179/'))).toEqual([]);
  expect(state.called.map((it) => it.command).sort()).toEqual(['app_view', 'plan']);
  await page.locator('.markdown a').click();
  const last = await page.evaluate(() =>
    (window as unknown as { fixture: { called: unknown[] } }).fixture.called.at(-1),
  );
  expect(last).toEqual({ command: 'open_link', argument: { url: 'https://filaops.example/docs' } });
});

test('on paper stands the recovery code, and nothing of the window', async ({ page }) => {
  await open(page, 'lock-recovery');
  await page.emulateMedia({ media: 'print' });
  const printed = (await page.evaluate(() => document.body.innerText)).split('\n').filter((it) => it !== '');
  expect(printed.join(' ')).toContain('KR7M-2QXD-9TVB-H4WN');
  for (const word of ['Settings', 'Print', 'Copy', 'Colours']) expect(printed).not.toContain(word);
});

async function found(axe: AxeBuilder): Promise<string[]> {
  const { violations } = await axe.analyze();
  return violations.map((it) => `${it.id}: ${it.nodes.map((node) => node.html).join(' ')}`);
}

async function picture(page: Page, name: string): Promise<void> {
  if (PICTURES) await page.screenshot({ path: `../docs/screenshots/${name}.png` });
}

/** What sticks out of the window to the side, or is cut off inside its own box. */
function overflowing(page: Page): Promise<string[]> {
  return page.evaluate(() => {
    const found: string[] = [];
    for (const it of document.querySelectorAll<HTMLElement>('body *')) {
      if (it.closest('.hidden-visually, svg, .skip, thead') || it.matches('.hidden-visually, .skip'))
        continue;
      const box = it.getBoundingClientRect();
      if (box.width === 0 || box.height === 0) continue;
      if (box.right > window.innerWidth + 1 || box.left < -1)
        found.push(`${it.tagName}.${it.className} ${it.textContent.trim().slice(0, 40)}`);
    }
    return found.slice(0, 5);
  });
}
