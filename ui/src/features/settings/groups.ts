// Which settings stand together, and their short names. A setting that is not known here is shown all the same.

import type { SettingView } from '../../ipc/bindings';
import { m } from '../../paraglide/messages.js';

export type Named = SettingView & { label: string };

const LABELS: Record<string, () => string> = {
  keep_backups: m.set_keep_backups,
  keep_backups_daily: m.set_keep_backups_daily,
  keep_backups_weekly: m.set_keep_backups_weekly,
  keep_backups_monthly: m.set_keep_backups_monthly,
  keep_backups_yearly: m.set_keep_backups_yearly,
  backups_budget_gb: m.set_backups_budget_gb,
  backup_folder: m.set_backup_folder,
  copy_folder: m.set_copy_folder,
  copy_storage: m.set_copy_storage,
  prove_again_days: m.set_prove_again_days,
  keep_copies: m.set_keep_copies,
  encrypt_backups: m.set_encrypt_backups,
  backup_key: m.set_backup_key,
  completion_ttl_minutes: m.set_completion_ttl_minutes,
  check_interval_hours: m.set_check_interval_hours,
  notifications: m.set_notifications,
  keep_originals_days: m.set_keep_originals_days,
  scratch_dir: m.set_scratch_dir,
};
const UPDATES = /^(check_interval|completion_ttl|notifications)/;
const BACKUPS = /^(keep_backups|keep_copies|copy_|encrypt_|backup|prove_again)/;
/** They have a place of their own on the page. */
const ELSEWHERE = /^(theme|contrast|text_percent)$/;
/** Chosen in a dialog of the desktop, and looked at before they are kept. */
export const FOLDERS = {
  backup_folder: 'choose_backup_folder',
  copy_folder: 'choose_copy_folder',
} as const;

export function isFolder(key: string): key is keyof typeof FOLDERS {
  return key in FOLDERS;
}

/** Chosen where they are tried at once: a typed path or name would only be found wrong by the next backup. */
export const TRIED_ELSEWHERE = /^(backup_folder|copy_folder|copy_storage|encrypt_backups|backup_key)$/;

export function groups(settings: SettingView[]): { title: string; settings: Named[] }[] {
  const here = settings.filter((it) => !ELSEWHERE.test(it.key));
  const named = here.map((it) => ({ ...it, label: LABELS[it.key]?.() ?? it.key.replaceAll('_', ' ') }));
  const updates = named.filter((it) => UPDATES.test(it.key));
  const backups = named.filter((it) => BACKUPS.test(it.key));
  const rest = named.filter((it) => !UPDATES.test(it.key) && !BACKUPS.test(it.key));
  return [
    { title: m.set_updates(), settings: updates },
    { title: m.set_backups(), settings: backups },
    { title: m.set_advanced(), settings: rest },
  ].filter((it) => it.settings.length > 0);
}

/** What a setting may be, where that is a few words. */
export const CHOICES: Record<string, { key: string; label: string }[]> = {
  notifications: [
    { key: 'all', label: m.notifications_all() },
    { key: 'important', label: m.notifications_important() },
    { key: 'none', label: m.notifications_none() },
  ],
};
