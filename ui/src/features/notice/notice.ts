// Which notice speaks: one on a page, the loudest; none while its application has something more urgent.

import type { InstallationCard } from '../../ipc/bindings';

export type Notice =
  | { kind: 'needs_you'; card: InstallationCard; upgradeId: string }
  | { kind: 'update'; card: InstallationCard };

export function isQuiet(card: InstallationCard, now: number): boolean {
  const { update } = card;
  if (!update || update.skipped) return true;
  // A wish that has run out since the engine last spoke no longer holds.
  if (update.quiet_until !== null) return Date.parse(update.quiet_until) > now;
  return update.quiet !== null;
}

/**
 * The application that the question of the day is about: only one that is at the loudest level, and only while nothing
 * needs someone and nothing runs.
 */
export function dailyQuestion(
  cards: InstallationCard[],
  isWorking: boolean,
  now: number,
): InstallationCard | null {
  if (isWorking || cards.some((it) => it.upgrade?.state === 'needs_attention' || it.upgrade?.active))
    return null;
  return cards.find((it) => it.update?.asks && it.update.level === 4 && !isQuiet(it, now)) ?? null;
}

/** A security release speaks before a late one of the same level. */
function loudness(card: InstallationCard): number {
  return (card.update?.level ?? 0) + (card.update?.security ? 0.5 : 0);
}

export function loudest(cards: InstallationCard[], now: number): Notice | null {
  const stuck = cards.find((it) => it.upgrade?.state === 'needs_attention');
  if (stuck?.upgrade) return { kind: 'needs_you', card: stuck, upgradeId: stuck.upgrade.upgrade_id };
  const waiting = cards
    .filter((it) => !isQuiet(it, now) && !it.upgrade?.active)
    .sort((a, b) => loudness(b) - loudness(a));
  return waiting[0] ? { kind: 'update', card: waiting[0] } : null;
}
