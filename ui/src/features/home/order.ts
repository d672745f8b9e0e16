// Which application stands first: what needs someone, then what works, then what waits, then the rest by name.

import type { InstallationCard } from '../../ipc/bindings';
import { isQuiet } from '../notice/notice';

export function urgency(card: InstallationCard, now: number): number {
  if (card.upgrade?.state === 'needs_attention') return 5;
  // What is kept only stands behind what is in use.
  if (card.set_aside_for) return -1;
  if (card.health.state === 'not_answering' || card.health.state === 'not_well') return 4;
  if (card.upgrade?.active) return 3;
  if (card.unseen) return 2;
  return isQuiet(card, now) ? 0 : 1;
}

export function byUrgency(cards: InstallationCard[], now: number): InstallationCard[] {
  return [...cards].sort(
    (a, b) =>
      urgency(b, now) - urgency(a, now) || a.title.localeCompare(b.title, undefined, { numeric: true }),
  );
}
