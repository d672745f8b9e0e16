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
  copy_folder: m.set_copy_folder,
  prove_again_days: m.set_prove_again_days,
  completion_ttl_minutes: m.set_completion_ttl_minutes,
  check_interval_hours: m.set_check_interval_hours,
  keep_originals_days: m.set_keep_originals_days,
  scratch_dir: m.set_scratch_dir,
};
const UPDATES = /^(check_interval|completion_ttl|notice|channel)/;
const BACKUPS = /^(keep_backups|keep_copies|copy_|encrypt_|backup|prove_again)/;

export function groups(settings: SettingView[]): { title: string; settings: Named[] }[] {
  const named = settings.map((it) => ({ ...it, label: LABELS[it.key]?.() ?? it.key.replaceAll('_', ' ') }));
  const updates = named.filter((it) => UPDATES.test(it.key));
  const backups = named.filter((it) => BACKUPS.test(it.key));
  const rest = named.filter((it) => !UPDATES.test(it.key) && !BACKUPS.test(it.key));
  return [
    { title: m.set_updates(), settings: updates },
    { title: m.set_backups(), settings: backups },
    { title: m.set_advanced(), settings: rest },
  ].filter((it) => it.settings.length > 0);
}
