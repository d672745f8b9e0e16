// The sentences of a result. A sentence about data is chosen by what the engine has observed, and left out where it
// has observed nothing.

import type { UpgradeView } from '../../ipc/bindings';
import { m } from '../../paraglide/messages.js';
import { clause, count, inSentence, measured, moment, rough, sentence, standing } from '../../words/format';

export function resultTitle(view: UpgradeView): string {
  const app = inSentence(view.title);
  const from = view.from ?? '';
  switch (view.state) {
    case 'complete':
      if (view.kind === 'rehearsal') return m.rehearsed_title();
      if (view.kind === 'restore') return m.restored_title({ app });
      if (view.kind === 'move') return m.moved_title({ app });
      return m.complete_title({ app, to: view.to });
    case 'rolled_back':
      return m.rolled_back_title({ app, from });
    case 'needs_attention':
      return m.needs_you_title({ app });
    default:
      return m.failed_title();
  }
}

export function paragraphs(view: UpgradeView, rehearsedSeconds: number | null): string[] {
  const app = inSentence(view.title);
  const from = view.from ?? '';
  const reason = clause(view.error?.message ?? m.unknown());
  const { to } = view;
  switch (view.state) {
    case 'complete':
      if (view.kind === 'rehearsal')
        return rehearsedSeconds === null ? [] : [m.rehearsed_text({ app, time: rough(rehearsedSeconds) })];
      // What was put back is not what was there before: only the engine's own sentence is said of it.
      if (view.kind === 'restore') return [view.receipt?.sentence ?? ''].filter((it) => it !== '');
      return [[aboutRows(view), aboutAway(view)].filter((it) => it !== '').join(' ')];
    case 'rolled_back':
      if (view.kind === 'move') return view.error ? [m.moved_back_text({ reason })] : [m.moved_back_asked()];
      if (!view.error) return [m.rolled_back_asked({ to })];
      return view.data === 'untouched' || view.data === 'restored'
        ? [m.rolled_back_text({ to, reason })]
        : [m.rolled_back_unseen({ to, reason })];
    case 'needs_attention':
      return [`${m.needs_text({ from, reason })} ${aboutOriginal(view)}`, m.needs_try()];
    default:
      if (view.kind === 'move' && view.error)
        return [m.not_moved_text({ app, reason, remedy: sentence(view.error.remedy) }).trim()];
      if (view.result === 'aborted_by_user' || !view.error) return [m.aborted_text({ app, to })];
      return [m.failed_text({ app, to, reason, remedy: sentence(view.error?.remedy ?? '') }).trim()];
  }
}

function aboutRows(view: UpgradeView): string {
  const receipt = view.receipt;
  if (!receipt || receipt.rows_before === null || receipt.rows_after === null) return '';
  const removed = receipt.rows_removed ?? 0;
  if (removed > 0)
    return m.complete_losses({ to: view.to, rows: m.rows({ n: removed, count: count(removed) }) });
  return receipt.rows_after >= receipt.rows_before ? m.complete_text() : '';
}

function aboutAway(view: UpgradeView): string {
  const seconds = view.away_seconds ?? view.receipt?.away_seconds ?? null;
  return seconds === null ? '' : m.complete_away({ app: inSentence(view.title), time: measured(seconds) });
}

function aboutOriginal(view: UpgradeView): string {
  const place = view.original_place;
  if (view.original_is_whole === true)
    return place ? m.needs_untouched({ place: standing(place) }) : m.needs_untouched_plain();
  const backup = view.receipt?.backup;
  return backup && backup.grade === 'proven' && view.started_at
    ? m.needs_unknown({ time: moment(view.started_at, Date.now()), folder: backup.path })
    : m.needs_unknown_plain();
}
