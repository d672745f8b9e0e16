// Why nothing is heard of an update, and until when: each wish of a person has its own sentence.

import type { InstallationCard, Quiet } from '../../ipc/bindings';
import { m } from '../../paraglide/messages.js';
import { momentIn } from '../../words/format';
import { isQuiet } from './notice';

type Says = (a: { to: string; date: string; line: string }) => string;
/** Nothing for what no person has wished. */
const SAYS: Record<Quiet, Says | null> = {
  busy: null,
  skipped: m.skipped_line,
  staying: m.staying_line,
  paused: m.paused_line,
  reminded: m.reminded_line,
  hidden: m.hidden_line,
};

/** Undefined where notices are heard. */
export function quietSays(card: InstallationCard, now: number): string | undefined {
  const { update } = card;
  if (!update || !isQuiet(card, now)) return undefined;
  const why = update.skipped ? 'skipped' : (update.quiet ?? 'hidden');
  const date = update.quiet_until ? momentIn(update.quiet_until, now) : m.unknown();
  return SAYS[why]?.({ to: update.to, date, line: update.line ?? card.version ?? '' });
}
