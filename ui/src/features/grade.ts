// What a grade means, in a sentence.

import type { BackupView } from '../ipc/bindings';
import { m } from '../paraglide/messages.js';
import { fullDate } from '../words/format';

export function gradeSays(backup: BackupView): string {
  switch (backup.grade) {
    case 'proven':
      return m.grade_proven_says({ date: fullDate(backup.proven_at ?? backup.made_at) });
    case 'readable':
      return m.grade_readable_says();
    case 'taken':
      return m.grade_taken_says();
    case 'failed':
      return backup.reason ?? m.grade_failed_says();
    default:
      return backup.grade satisfies never;
  }
}
