// What the lock picture shows of an upgrade. It tells the truth about use: the boat is in the chamber exactly while
// people cannot use the application.

import type { PhaseView, UpgradeView } from '../../ipc/bindings';
import type { LockScene } from '../../kit/LockPicture.svelte';

const IN_USE = 4;

function share(phases: PhaseView[]): number {
  if (phases.length === 0) return 0;
  const come = phases.reduce(
    (sum, it) => sum + (it.state === 'done' || it.state === 'skipped' ? 1 : it.state === 'now' ? 0.5 : 0),
    0,
  );
  return come / phases.length;
}

export function pictureOf(view: UpgradeView): LockScene {
  const near = share(view.phases.slice(0, IN_USE));
  const level = share(view.phases.slice(IN_USE));
  switch (view.state) {
    case 'complete':
      // A rehearsal lifts nothing.
      return view.kind === 'rehearsal'
        ? { boat: 'below', near: 1, level: 0, lowerOpen: true, upperOpen: false }
        : { boat: 'above', near: 1, level: 1, lowerOpen: false, upperOpen: true };
    case 'rolled_back':
      return { boat: 'below', near: 0.5, level: 0, lowerOpen: true, upperOpen: false };
    case 'failed':
      return { boat: 'below', near, level: 0, lowerOpen: true, upperOpen: false };
    case 'needs_attention':
      return { boat: 'chamber', near: 1, level, lowerOpen: false, upperOpen: false };
    case 'rolling_back': {
      const back = view.steps_back;
      const gone = back.filter((it) => it.state === 'done').length / Math.max(1, back.length);
      return { boat: 'chamber', near: 1, level: level * (1 - gone), lowerOpen: false, upperOpen: false };
    }
    case 'pending':
    case 'checking':
    case 'backing_up':
    case 'downloading':
    case 'rehearsing':
    case 'applying':
    case 'migrating':
    case 'restarting':
    case 'verifying':
      return view.people_can_use
        ? { boat: 'below', near, level: 0, lowerOpen: true, upperOpen: false }
        : { boat: 'chamber', near: 1, level, lowerOpen: false, upperOpen: false };
    default:
      return view.state satisfies never;
  }
}
