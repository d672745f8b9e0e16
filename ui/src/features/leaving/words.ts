// What runs now, in a sentence.

import type { LeavingWork } from '../../ipc/bindings';
import { m } from '../../paraglide/messages.js';

/** What people call a kind of thing, standing alone. */
export const thing = (key: string): string => key.charAt(0).toLocaleUpperCase() + key.slice(1);

export function workSays(work: LeavingWork, versions: { app: string; from: string; to: string }): string {
  switch (work.act) {
    case 'export':
      return work.at ? m.leave_works_export({ what: work.at }) : m.leave_works_export_begin(versions);
    case 'start_fresh':
      return freshSays(work, versions);
    case 'take_back':
      return m.leave_works_back(versions);
    case 'try':
      return work.at ? m.leave_works_try({ what: work.at }) : m.leave_works_try_begin(versions);
    case 'bring_in':
      return work.at ? m.leave_works_bring({ what: work.at }) : m.leave_works_bring_begin(versions);
    case 'undo':
      return m.leave_works_undo();
    default:
      return work.act satisfies never;
  }
}

function freshSays(work: LeavingWork, versions: { app: string; from: string; to: string }): string {
  switch (work.state) {
    case null:
    case 'backing_up':
      return m.leave_works_backup(versions);
    case 'building':
      return m.leave_works_build(versions);
    case 'setting_aside':
      return m.leave_works_aside(versions);
    case 'opening':
    case 'complete':
      return m.leave_works_open(versions);
    case 'undoing':
    case 'undone':
      return m.leave_works_back(versions);
    case 'removing':
    case 'removed':
      return '';
    default:
      return work.state satisfies never;
  }
}
