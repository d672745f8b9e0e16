// What stands above every page: the question of the day, the question before closing, and what cannot be shown.

import { fireEvent, screen, waitFor } from '@testing-library/svelte';
import { describe, expect, it } from 'vitest';
import { open } from '../../tests/open';

import { SCENES, home, scene, type Scene } from '../ipc/fixture/scenes';
import * as w from '../ipc/fixture/world';

const asks = { update: w.offer({ level: 4, days_behind: 97, versions_behind: 5, asks: true }) };
const later = () => new Promise((go) => setTimeout(go, 0));
const hasDaily = () => screen.queryByTestId('daily-dialog') !== null;

describe('the question of the day', () => {
  it('is asked once, and the engine hears that it was', async () => {
    const { client, calls } = await open(home(asks));
    await waitFor(() => expect(hasDaily()).toBe(true));
    expect(calls('daily_question_asked')).toEqual([{ name: 'filaops' }]);
    await fireEvent.click(screen.getByTestId('act-not-today'));
    await waitFor(() => expect(hasDaily()).toBe(false));
    client.say('app', w.app([w.installation(asks)]));
    await later();
    expect(hasDaily()).toBe(false);
  });

  it.each<[string, Scene, string]>([
    ['the level is lower', home({ update: w.offer({ level: 3, asks: true }) }), '#/'],
    ['it was asked today', home({ update: w.offer({ level: 4 }) }), '#/'],
    ['the notice was put off', home({ update: w.offer({ level: 4, asks: true, quiet: 'paused' }) }), '#/'],
    ['an update runs', home({ ...asks, upgrade: w.upgrade() }), '#/'],
    [
      'something needs someone',
      home({ ...asks, upgrade: w.upgrade({ state: 'needs_attention', active: false }) }),
      '#/',
    ],
    ['the window was opened for something', home(asks), '#/app/filaops/update'],
    ['the app cannot take it down', without(home(asks), 'daily_question_asked'), '#/'],
  ])('is not asked where %s', async (_, told, at) => {
    await open(told, at);
    await waitFor(() => expect(screen.getByTestId('page-title')).toBeTruthy());
    await later();
    expect(hasDaily()).toBe(false);
  });

  it('is not asked in a window that a notification has led somewhere', async () => {
    const { client } = await open(home({}));
    client.say('navigate', { route: '/' });
    client.say('app', w.app([w.installation(asks)]));
    await later();
    expect(hasDaily()).toBe(false);
  });
});

function without(told: Scene, command: keyof Scene): Scene {
  return Object.fromEntries(Object.entries(told).filter(([it]) => it !== command));
}

describe('a part whose command the app does not have', () => {
  it.each<[string, keyof Scene, string[], string]>([
    ['welcome', 'start_sample', [], 'way-sample'],
    ['welcome', 'find_applications', [], 'way-find'],
    ['update-findings', 'fix_finding', [], 'act-fix'],
    ['update-asked', 'say_of_setting', [], 'act-generate'],
    ['update', 'schedule_upgrade', ['act-later'], 'menu-tonight'],
    ['update-breaking', 'leaving', [], 'act-export-data'],
    ['help', 'save_report', [], 'act-save-report'],
    ['settings', 'set_lock', [], 'act-set-lock'],
    ['settings', 'application_settings', [], 'trust'],
    ['backups', 'backup_care', [], 'schedule'],
    ['backups', 'prune_backups', [], 'act-prune'],
    ['go-back', 'go_back', ['more'], 'menu-go-back'],
    ['progress-question', 'answer', [], 'act-go-on'],
    ['home-leaving', 'leaving', [], 'leaving-line'],
    ['breaking', 'leaving', [], 'act-next'],
    ['home-set-aside', 'set_aside', [], 'act-look'],
  ])('%s without %s', async (name, command, press, gone) => {
    await open(without(scene(name), command), SCENES[name]?.at);
    await screen.findAllByTestId('page-title');
    for (const it of press) await fireEvent.click(await screen.findByTestId(it));
    await later();
    expect(screen.queryByTestId(gone)).toBeNull();
  });
});

describe('Ctrl+W and Ctrl+Q', () => {
  const ctrl = (key: string) => fireEvent.keyDown(window, { key, ctrlKey: true });
  const told = (over: Partial<ReturnType<typeof w.app>>, card: Parameters<typeof home>[0] = {}): Scene => ({
    ...home(card),
    app_view: () => w.app([w.installation(card)], over),
  });
  const explained = { ...w.PREFERENCES, first_close_explained: false };

  it.each([
    ['w', told({ preferences: explained }), 'Liftlock stays in the tray'],
    ['w', told({ preferences: explained, has_tray: false }), 'This desktop has no tray'],
    ['w', told({ has_tray: false }, { upgrade: w.upgrade() }), 'The update goes on without Liftlock'],
    ['q', told({}, { upgrade: w.upgrade() }), 'The update goes on without Liftlock'],
  ])('Ctrl+%s asks where there is something to know', async (key, scene, title) => {
    const { calls } = await open(scene);
    await ctrl(key);
    expect((await screen.findByTestId('close-dialog')).textContent).toContain(title);
    expect(calls('answer_close')).toEqual([]);
  });

  it.each([
    ['w', told({}), 'close'],
    ['w', told({ has_tray: false }), 'quit'],
    ['w', told({}, { upgrade: w.upgrade() }), 'close'],
    ['q', told({}), 'quit'],
  ])('Ctrl+%s just does it elsewhere', async (key, scene, how) => {
    const { calls } = await open(scene);
    await ctrl(key);
    await waitFor(() => expect(calls('answer_close')).toEqual([{ how }]));
  });
});

describe('what cannot be shown', () => {
  it.each(['fatal-too-new', 'fatal-not-writable', 'fatal-part-missing', 'fatal-silent'])(
    '%s says why, and looks again',
    async (name) => {
      const { calls } = await open(name);
      expect(screen.getByTestId('fatal')).toBeTruthy();
      expect(screen.getByRole('alert').textContent.length).toBeGreaterThan(20);
      await fireEvent.click(screen.getByRole('button', { name: 'Try again' }));
      await waitFor(() => expect(calls('app_view')).toHaveLength(2));
    },
  );

  it('keeps names of strangers from turning the words around them', async () => {
    await open('home-long-names');
    const titles = screen.getAllByRole('heading', { level: 2 }).map((it) => it.textContent);
    expect(titles.join('')).not.toMatch(/[\u202a-\u202e\u2066-\u2069]/);
    expect(titles.map((it) => it.length)).toContain(200);
    expect(document.body.textContent).toContain('👩🏽‍🔧');
  });

  it('shows two hundred applications as rows that can be filtered', async () => {
    await open('home-200');
    expect(document.querySelectorAll('.list > li')).toHaveLength(200);
    await fireEvent.input(screen.getByTestId('filter'), { target: { value: 'Forgejo 3' } });
    await waitFor(() => expect(document.body.textContent).toMatch(/\b1 application\b/));
  }, 20_000);

  it('cuts notes of two megabytes and shows all of them only when asked', async () => {
    await open('update-huge');
    const text = () => document.querySelector('.markdown')?.textContent ?? '';
    await waitFor(() => expect(text().length).toBeGreaterThan(10_000), { timeout: 5000 });
    expect(text().length).toBeLessThan(70_000);
    expect(screen.getByTestId('notes-all')).toBeTruthy();
  });
});
