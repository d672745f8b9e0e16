// Every command may be refused. Wherever that happens the page says so in the engine's words, and stays usable.

import { fireEvent, screen, waitFor } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { describe, expect, it } from 'vitest';
import { open, type Opened } from '../../tests/open';
import type { Commands } from '../ipc/contract';
import { SCENES, scene, type Scene } from '../ipc/fixture/scenes';
import { mistake } from '../ipc/fixture/world';

type Act = {
  scene: string;
  /** What is told beside the scene, so that the act can be reached. */
  more?: Scene;
  /** Test ids, pressed one after the other; a function for what is no press. */
  press?: (string | ((opened: Opened) => unknown))[];
  /** Nothing is said of it: what it means for the page stands in the comment beside it. */
  isSilent?: true;
};
const pick = (testid: string, value: string) => () =>
  fireEvent.change(screen.getByTestId(testid), { target: { value } });
const write = (testid: string, value: string) => () =>
  fireEvent.input(screen.getByTestId(testid), { target: { value } });
const key =
  (name: string, over: KeyboardEventInit = {}) =>
  () =>
    fireEvent.keyDown(window, { key: name, ctrlKey: true, ...over });
const ask = (why: 'first_close' | 'quit_during_upgrade') => (it: Opened) =>
  it.client.say('ask_close', { why });
const toLock = [
  'act-set-lock',
  write('lock-passphrase', 'long enough'),
  write('lock-again', 'long enough'),
  'act-lock-go',
];
const toConfirm = ['act-next', 'act-next', 'act-restore', write('typed-word', 'RESTORE'), 'act-destructive'];

const ACTS: Record<keyof Commands, Act> = {
  app_view: { scene: 'home' },
  set_preference: { scene: 'settings', press: ['contrast'] },
  find_applications: { scene: 'welcome', press: ['way-find'] },
  choose_folder: { scene: 'welcome', press: ['way-folder'] },
  choose_file: { scene: 'welcome-file', press: ['way-find', 'act-look-after', 'act-choose-file'] },
  try_answer: { scene: 'welcome-file', press: ['way-find', 'act-look-after', 'act-next'] },
  add_installation: {
    scene: 'welcome-file',
    press: ['way-find', 'act-look-after', write('answer', '/srv/x'), 'act-next', 'act-next'],
  },
  start_sample: { scene: 'welcome', press: ['way-sample'] },
  remove_installation: { scene: 'home', press: ['more', 'menu-remove', 'act-destructive'] },
  open_application: { scene: 'home', press: ['act-open'] },
  open_link: { scene: 'home-security', press: ['act-read-about'] },
  open_folder: { scene: 'settings', press: ['act-open-home'] },
  check_health: { scene: 'home', press: ['more', 'menu-check'] },
  check_releases: { scene: 'home', press: [key('F5')] },
  quiet: { scene: 'home', press: ['more', 'menu-pause'] },
  plan: { scene: 'update' },
  notes: { scene: 'update-cut', press: ['notes-all'] },
  fix_finding: { scene: 'update-findings', press: ['act-fix'] },
  say_of_setting: { scene: 'update-asked', press: ['act-generate'] },
  start_upgrade: { scene: 'update', press: ['act-update-now'] },
  schedule_upgrade: { scene: 'update', press: ['act-later', 'menu-tonight'] },
  forget_missed: { scene: 'home-missed', press: ['act-forget-missed'] },
  upgrade: { scene: 'home', press: [() => void (location.hash = '#/app/filaops/upgrade/gone')] },
  upgrade_log: { scene: 'progress', press: ['log-fold'] },
  answer: { scene: 'progress-question', press: ['act-go-on'] },
  cancel: { scene: 'progress', press: ['act-bring-back'] },
  retry: { scene: 'result-nothing-changed', press: ['act-try-again'] },
  settle: { scene: 'result-needs-you', press: ['act-settle'] },
  rollback: { scene: 'result-needs-you', press: ['act-try-again'] },
  acknowledge: { scene: 'result-nothing-changed', press: ['act-done'] },
  // It is announced once more then.
  seen: { scene: 'home-unseen', isSilent: true },
  save_receipt: { scene: 'result-complete', press: ['act-save-receipt'] },
  backups: { scene: 'backups' },
  back_up: { scene: 'backups', press: ['act-back-up'] },
  cancel_job: { scene: 'backups', press: ['act-back-up', 'act-stop-job'] },
  prove_backup: { scene: 'backups-bad', press: [moreOf(1), 'menu-prove'] },
  backup_details: { scene: 'backup' },
  copies_of: { scene: 'backup' },
  remove_backup: {
    scene: 'backup',
    press: ['act-remove-backup', write('typed-word', 'REMOVE'), 'act-destructive'],
  },
  pin_backup: { scene: 'backups', press: [moreOf(0), 'menu-pin'] },
  choose_backup_folder: { scene: 'settings', press: ['act-choose-backup_folder'] },
  choose_copy_folder: { scene: 'settings', press: ['act-choose-copy_folder'] },
  compare: { scene: 'restore' },
  restore: { scene: 'restore', press: toConfirm },
  history: { scene: 'history' },
  save_history: { scene: 'history', press: ['act-save-history'] },
  settings: { scene: 'settings' },
  set_setting: {
    scene: 'settings',
    press: [
      () => fireEvent.change(within('setting-check_interval_hours', 'input'), { target: { value: '12' } }),
    ],
  },
  diagnostics: { scene: 'help' },
  save_report: { scene: 'help', press: ['act-save-report'] },
  set_lock: {
    scene: 'settings',
    press: toLock,
  },
  save_recovery_code: {
    scene: 'settings',
    press: [...toLock, 'act-save-code'],
  },
  print_recovery_code: {
    scene: 'settings',
    press: [...toLock, 'act-print'],
  },
  remove_lock: {
    scene: 'settings-set',
    press: ['act-remove-lock', write('lock-passphrase', 'long enough'), 'act-lock-go'],
  },
  lock: { scene: 'settings-set', press: [key('l')] },
  unlock: { scene: 'settings-locked', press: ['locked', write('passphrase', 'wrong'), 'act-unlock'] },
  answer_close: { scene: 'home', press: [ask('first_close'), 'act-close'] },
  // It is asked once more at the next start.
  daily_question_asked: { scene: 'home-daily', isSilent: true },
  backup_care: { scene: 'backups' },
  set_backup_schedule: { scene: 'backups', press: [pick('schedule', 'never')] },
  prune_backups: { scene: 'backups', press: ['act-prune', 'act-destructive'] },
  open_rescue_kit: { scene: 'backups', press: ['act-rescue'] },
  inspect_file: { scene: 'backups', press: ['act-from-file'] },
  adopt_file: {
    scene: 'backups',
    press: ['act-from-file', 'act-adopt', write('typed-word', 'RUN'), 'act-destructive'],
  },
  backup_tables: { scene: 'tables' },
  looks: { scene: 'tables' },
  look_at_table: { scene: 'tables', press: ['act-look-table'] },
  remove_look: { scene: 'tables', press: ['act-look-table', 'act-remove-look'] },
  safekeeping: { scene: 'backups' },
  copy_now: { scene: 'backups', press: ['act-copy-now'] },
  renew_copy: { scene: 'backup-damaged-copy', press: ['act-renew-copy'] },
  stop_copies: { scene: 'backups', press: ['act-stop-copies'] },
  encrypt_with_passphrase: {
    scene: 'backups',
    press: [
      'act-encrypt',
      write('key-passphrase', 'ten lock gates'),
      write('key-again', 'ten lock gates'),
      'act-encrypt-go',
    ],
  },
  encrypt_again: { scene: 'backups-encrypt-again', press: ['act-encrypt-again'] },
  encrypt_to: {
    scene: 'backups',
    press: ['act-encrypt-to', write('key-recipient', 'age1abc'), 'act-encrypt-go'],
  },
  stop_encrypting: { scene: 'backups-encrypted', press: ['act-stop-encrypting'] },
  application_settings: { scene: 'settings' },
  set_application_setting: { scene: 'settings', press: [pick('unattended', '02:00-05:00')] },
  go_back_preview: { scene: 'go-back', press: ['more', 'menu-go-back'] },
  go_back: { scene: 'go-back', press: ['more', 'menu-go-back', 'act-destructive'] },
  leaving: { scene: 'breaking' },
  leaving_preview: { scene: 'breaking-choose', press: ['act-preview-customers'] },
  leaving_choose: { scene: 'breaking', press: ['act-next'] },
  leaving_begin: { scene: 'breaking-export', press: ['act-export'] },
  leaving_mapping: { scene: 'breaking-mapping', press: ['act-mapping'] },
  leaving_map: { scene: 'breaking-mapping', press: ['act-mapping', 'act-mapping-reset'] },
  leaving_forget: { scene: 'go-back-brought', press: ['act-forget'] },
  leaving_open: { scene: 'breaking-check', press: ['act-open-export'] },
  set_aside: { scene: 'home-set-aside' },
  look_at_set_aside: { scene: 'home-set-aside', press: ['act-look'] },
  stop_set_aside: { scene: 'home-looked-at', press: ['act-stop-look'] },
  remove_set_aside: {
    scene: 'home-set-aside',
    press: ['act-remove-aside', write('typed-word', 'REMOVE'), 'act-destructive'],
  },
};

function moreOf(row: number) {
  return async () => {
    const buttons = await screen.findAllByTestId('backup-more');
    const button = buttons[row];
    if (!button) throw new Error(`no row ${row.toString()}`);
    await userEvent.click(button);
  };
}
function within(testid: string, selector: string): HTMLElement {
  const found = screen.getByTestId(testid).querySelector<HTMLElement>(selector);
  if (!found) throw new Error(`no ${selector} in ${testid}`);
  return found;
}

const WHY = 'The engine of the test refused this';

async function press(opened: Opened, steps: NonNullable<Act['press']>): Promise<void> {
  const user = userEvent.setup({ pointerEventsCheck: 0 });
  for (const step of steps) {
    if (typeof step === 'string') {
      const found = await screen.findAllByTestId(step, {});
      if (found[0]) await user.click(found[0]);
    } else {
      await waitFor(() => step(opened));
    }
  }
}

describe('a command that is refused', () => {
  it.each(Object.entries(ACTS))('%s', async (command, act) => {
    const told = { tells: scene(act.scene), at: SCENES[act.scene]?.at };
    const refuses = { [command]: () => Promise.reject(mistake({ message: WHY }) as never) };
    const opened = await open({ ...told.tells, ...act.more, ...refuses }, told.at);
    await press(opened, act.press ?? []);
    await waitFor(() => expect(opened.calls(command).length).toBeGreaterThan(0));
    if (act.isSilent) expect(document.body.textContent).not.toContain(WHY);
    else await waitFor(() => expect(document.body.textContent).toContain(WHY));
  });
});
