// The one thing that a row says about its application.

import Archive from '@lucide/svelte/icons/archive';
import CircleArrowUp from '@lucide/svelte/icons/circle-arrow-up';
import CircleCheck from '@lucide/svelte/icons/circle-check';
import CircleDashed from '@lucide/svelte/icons/circle-dashed';
import CircleDot from '@lucide/svelte/icons/circle-dot';
import OctagonAlert from '@lucide/svelte/icons/octagon-alert';
import ShieldAlert from '@lucide/svelte/icons/shield-alert';
import TriangleAlert from '@lucide/svelte/icons/triangle-alert';
import type { InstallationCard, UpgradeView } from '../../ipc/bindings';
import { m } from '../../paraglide/messages.js';
import { percent } from '../../words/format';
import { outcomeTone, outcomeWords } from '../../words/outcomes';
import { healthLabel } from '../../words/phases';
import { isQuiet } from '../notice/notice';

export type RowState = { icon: typeof CircleCheck; tone: string; word: string };

export function stateOf(card: InstallationCard, upgrade: UpgradeView | null, now: number): RowState {
  if (upgrade?.state === 'needs_attention')
    return { icon: OctagonAlert, tone: 'danger', word: m.outcome_needs_attention() };
  if (upgrade?.active)
    return { icon: CircleDot, tone: 'accent', word: m.quarter({ percent: percent(upgrade.progress) }) };
  const word = healthLabel(card.health);
  if (card.set_aside_for) return { icon: Archive, tone: 'muted', word: m.aside_state() };
  if (card.health.state === 'not_answering' || card.health.state === 'not_well')
    return { icon: TriangleAlert, tone: 'warn', word };
  if (card.unseen)
    return { icon: CircleDot, tone: outcomeTone(card.unseen.result), word: outcomeWords(card.unseen.result) };
  if (card.update && !isQuiet(card, now))
    return {
      icon: card.update.security ? ShieldAlert : CircleArrowUp,
      tone: card.update.security ? 'danger' : 'accent',
      word: m.behind_card({ to: card.update.to }),
    };
  if (card.health.state === 'well') return { icon: CircleCheck, tone: 'good', word };
  return { icon: CircleDashed, tone: 'muted', word };
}
