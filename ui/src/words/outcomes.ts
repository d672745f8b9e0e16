// How an update ended and what vouched for its release, in the words of people. Every word of the engine has its own
// line here: one that is added there does not compile before it is added here.

import type {
  InstallationCard,
  OriginalView,
  Outcome,
  OutcomeLine,
  State,
  Trust,
  UpgradeKind,
  UpgradeView,
} from '../ipc/bindings';
import { m } from '../paraglide/messages.js';
import { age, inSentence } from './format';
import { isFinal } from './phases';

export type Tone = 'good' | 'warn' | 'danger' | 'muted';
type Words = { label: () => string; tone: Tone };

const OUTCOMES: Record<Outcome, Words> = {
  success: { label: m.outcome_success, tone: 'good' },
  rolled_back: { label: m.outcome_rolled_back, tone: 'warn' },
  rollback_failed: { label: m.outcome_needs_attention, tone: 'danger' },
  failed: { label: m.outcome_failed, tone: 'muted' },
  refused: { label: m.outcome_refused, tone: 'muted' },
  aborted_by_user: { label: m.outcome_aborted, tone: 'muted' },
};
/** In the order in which a filter offers them. */
export const ALL_OUTCOMES = Object.keys(OUTCOMES) as Outcome[];
export const outcomeWords = (outcome: Outcome): string => OUTCOMES[outcome].label();
export const outcomeTone = (outcome: Outcome): Tone => OUTCOMES[outcome].tone;

/** How an upgrade ended that nobody has acknowledged yet. */
export function lineOf(view: UpgradeView | null): OutcomeLine | undefined {
  if (!view || view.active || !isFinal(view.state) || view.acknowledged_at !== null) return undefined;
  const { upgrade_id, kind, from, to, finished_at } = view;
  const said = ALL_OUTCOMES.find((it) => it === view.result);
  return {
    upgrade_id,
    kind,
    from,
    to,
    finished_at,
    result: said ?? BY_STATE[view.state] ?? 'failed',
  };
}
const BY_STATE: Partial<Record<State, Outcome>> = {
  complete: 'success',
  rolled_back: 'rolled_back',
  needs_attention: 'rollback_failed',
  failed: 'failed',
};

/** The line that a result leaves on its card until a window has shown it. */
export function unseenSays(card: InstallationCard, line: OutcomeLine, now: number): string {
  const app = inSentence(card.title);
  const { to } = line;
  switch (line.result) {
    case 'success':
      return successSays(card, line, now);
    case 'rolled_back':
      return m.unseen_rolled_back({ to });
    case 'rollback_failed':
      return m.unseen_needs({ app });
    case 'failed':
      return m.unseen_failed({ to });
    case 'refused':
      return m.unseen_refused({ to });
    case 'aborted_by_user':
      return m.unseen_aborted({ to });
    default:
      return line.result satisfies never;
  }
}

/** Which kinds of originals an update keeps. */
const KEPT: Record<OriginalView['kept'], (a: { version: string }) => string> = {
  original: m.kept_original,
  failed_copy: m.kept_failed_copy,
  final_dump: m.kept_final_dump,
};
export const originalWords = (it: OriginalView): string =>
  KEPT[it.kept]({ version: it.version ?? m.version_before() });

/** A rehearsal ends well too, and then nothing new runs: that it runs is said only where it was seen. */
function successSays(card: InstallationCard, line: OutcomeLine, now: number): string {
  const { to, upgrade_id, finished_at } = line;
  const { kind: said } = line as OutcomeLine & { kind?: UpgradeKind | null };
  const kind = said ?? (card.upgrade?.upgrade_id === upgrade_id ? card.upgrade.kind : null);
  if (kind === 'rehearsal') return m.unseen_rehearsed({ to });
  if (kind === 'restore') return m.unseen_restored();
  if (kind === 'move') return m.unseen_moved();
  if (card.version !== to) return m.unseen_ended_well({ to });
  return finished_at === null ? m.unseen_runs({ to }) : m.unseen_success({ to, age: age(finished_at, now) });
}

const TRUST: Record<Trust, { short: () => string; long: () => string }> = {
  signed_manifest: { short: m.trust_signed, long: m.sig_signed },
  attestation: { short: m.trust_attested, long: m.sig_attested },
  signed_tag: { short: m.trust_tagged, long: m.sig_tagged },
  checksum: { short: m.trust_checksum, long: m.sig_checksum },
  none: { short: m.trust_none, long: m.sig_none },
};
export const ALL_TRUST = Object.keys(TRUST) as Trust[];
/** Nothing is said where the engine has not looked. */
export const trustShort = (trust: Trust | null): string => (trust ? TRUST[trust].short() : '');
export const trustLong = (trust: Trust | null): string => (trust ? TRUST[trust].long() : m.not_measured());
