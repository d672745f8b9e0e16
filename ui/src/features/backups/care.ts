// Times for backups in plain words, as the engine reads them, and the keeping rule as a sentence.

import type { BackupCareView } from '../../ipc/bindings';
import { m } from '../../paraglide/messages.js';
import { count, list } from '../../words/format';

/** What the choice of no times is called among the choices. */
export const NEVER = 'never';

/** The usual times, and whatever was chosen on another face. */
export function scheduleChoices(chosen: string): { key: string; label: string }[] {
  const usual = [
    { key: 'every night at 3', label: m.schedule_nightly({ time: '03:00' }) },
    { key: 'every day at 12', label: m.schedule_daily({ time: '12:00' }) },
    { key: '0 3 * * 0', label: m.schedule_weekly({ time: '03:00' }) },
    { key: NEVER, label: m.schedule_never() },
  ];
  return usual.some((it) => it.key === chosen) ? usual : [{ key: chosen, label: chosen }, ...usual];
}

export function ruleSays(rule: BackupCareView['rule']): string {
  const parts = [
    [rule.newest, m.rule_newest],
    [rule.daily, m.rule_daily],
    [rule.weekly, m.rule_weekly],
    [rule.monthly, m.rule_monthly],
    [rule.yearly, m.rule_yearly],
  ] as const;
  return m.rule_says({
    what: list(parts.filter(([n]) => n > 0).map(([n, says]) => says({ n: count(n) }))),
  });
}
