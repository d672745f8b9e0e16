// The phases as rows of a list, with what came out of each in words.

import type { PhaseView, PhaseWord, UpgradeView } from '../../ipc/bindings';
import type { Row } from '../../kit/PhaseList.svelte';
import { m } from '../../paraglide/messages.js';
import { bytes, measured } from '../../words/format';
import { phaseLabel } from '../../words/phases';

export function phaseRows(view: UpgradeView): Row[] {
  const isStuck = view.state === 'needs_attention' || view.state === 'failed' || view.state === 'rolled_back';
  return view.phases.map((it) => ({
    key: it.phase,
    label: phaseLabel(it.phase),
    state: it.state === 'now' && (isStuck || view.state === 'rolling_back') ? ('failed' as const) : it.state,
    outcome:
      cameOut(it) ??
      (it.state === 'skipped'
        ? m.phase_skipped()
        : it.state === 'stopped'
          ? m.phase_stopped()
          : it.state === 'failed'
            ? m.phase_failed()
            : it.state === 'done' && it.seconds !== null
              ? measured(it.seconds)
              : null),
  }));
}

const WORDS: Record<PhaseWord, () => string> = {
  ready: m.phase_ready,
  proven: m.phase_proven,
  checked: m.phase_checked,
  passed: m.phase_passed,
  left_out: m.phase_left_out,
};

/** “proven · 412 MB · 38 s” */
function cameOut({ outcome, seconds }: PhaseView): string | null {
  if (!outcome) return null;
  const parts = [
    WORDS[outcome.word](),
    ...(outcome.bytes === null ? [] : [bytes(outcome.bytes)]),
    ...(seconds === null || outcome.word === 'left_out' ? [] : [measured(seconds)]),
  ];
  return parts.reduce((a, b) => m.dotted({ a, b }));
}

export function backRows(view: UpgradeView): Row[] {
  return view.steps_back.map((it) => ({ key: it.name, label: it.sentence, state: it.state }));
}
