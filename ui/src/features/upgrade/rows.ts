// The phases as rows of a list, with what came out of each in words.

import type { UpgradeView } from '../../ipc/bindings';
import type { Row } from '../../kit/PhaseList.svelte';
import { m } from '../../paraglide/messages.js';
import { measured } from '../../words/format';
import { phaseLabel } from '../../words/phases';

export function phaseRows(view: UpgradeView): Row[] {
  const isStuck = view.state === 'needs_attention' || view.state === 'failed' || view.state === 'rolled_back';
  return view.phases.map((it) => ({
    key: it.phase,
    label: phaseLabel(it.phase),
    state: it.state === 'now' && (isStuck || view.state === 'rolling_back') ? ('failed' as const) : it.state,
    outcome:
      it.outcome ??
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

export function backRows(view: UpgradeView): Row[] {
  return view.steps_back.map((it) => ({ key: it.name, label: it.sentence, state: it.state }));
}
