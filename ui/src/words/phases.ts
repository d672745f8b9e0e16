// The eight phases and every other word of the engine that people read, in their words.

import type { BackupView, HealthView, State, UpgradeView } from '../ipc/bindings';
import { m } from '../paraglide/messages.js';
import { count, inSentence, percent } from './format';

export const FINAL: readonly State[] = ['complete', 'rolled_back', 'failed', 'needs_attention'];
export const isFinal = (state: State): boolean => FINAL.includes(state);

export function phaseLabel(phase: State): string {
  switch (phase) {
    case 'checking':
      return m.phase_checking();
    case 'backing_up':
      return m.phase_backing_up();
    case 'downloading':
      return m.phase_downloading();
    case 'rehearsing':
      return m.phase_rehearsing();
    case 'applying':
      return m.phase_applying();
    case 'migrating':
      return m.phase_migrating();
    case 'restarting':
      return m.phase_restarting();
    case 'verifying':
      return m.phase_verifying();
    case 'rolling_back':
      return m.phase_rolling_back();
    case 'pending':
      return m.says_pending();
    case 'complete':
    case 'rolled_back':
    case 'failed':
    case 'needs_attention':
      return endLabel(phase);
    default:
      return phase satisfies never;
  }
}

/** What is happening, in one sentence. */
export function phaseSays(view: UpgradeView): string {
  const app = inSentence(view.title);
  const { to } = view;
  const from = view.from ?? '';
  switch (view.state) {
    case 'pending':
      return m.says_pending();
    case 'checking':
      return m.says_checking();
    case 'backing_up':
      return m.says_backing_up({ app });
    case 'downloading':
      return m.says_downloading({ app, to });
    case 'rehearsing':
      return m.says_rehearsing({ app });
    case 'applying':
      return m.says_applying({ app, to });
    case 'migrating':
      // Only what was seen is said: the original is called untouched where the engine says so.
      return view.data === 'untouched' ? m.says_migrating({ to }) : m.says_migrating_in_place({ to });
    case 'restarting':
      return m.says_restarting({ app, to });
    case 'verifying':
      return m.says_verifying({ to });
    case 'rolling_back':
      return m.says_rolling_back({ from });
    case 'complete':
    case 'rolled_back':
    case 'failed':
    case 'needs_attention':
      return endLabel(view.state);
    default:
      return view.state satisfies never;
  }
}

/** What an upgrade that is over is called. */
export function endLabel(state: 'complete' | 'rolled_back' | 'failed' | 'needs_attention'): string {
  switch (state) {
    case 'complete':
      return m.outcome_success();
    case 'rolled_back':
      return m.outcome_rolled_back();
    case 'failed':
      return m.outcome_failed();
    case 'needs_attention':
      return m.outcome_needs_attention();
    default:
      return state satisfies never;
  }
}

const KINDS: Record<UpgradeView['kind'], () => string> = {
  upgrade: m.crumb_update,
  restore: m.restore,
  rehearsal: m.phase_rehearsing,
  move: m.crumb_move,
};
export const kindWord = (kind: UpgradeView['kind']): string => KINDS[kind]();

export function progressTitle(view: UpgradeView): string {
  const app = inSentence(view.title);
  if (view.state === 'rolling_back') return m.bringing_back_title({ app, from: view.from ?? '' });
  switch (view.kind) {
    case 'upgrade':
      return m.updating_title({ app, to: view.to });
    case 'restore':
      return m.restoring_title({ app });
    case 'rehearsal':
      return m.rehearsing_title({ app, to: view.to });
    case 'move':
      return m.moving_title({ app });
    default:
      return view.kind satisfies never;
  }
}

/** For the rail and a card: "Updating FilaOps". */
export function taskLine(view: UpgradeView): string {
  const app = inSentence(view.title);
  if (view.state === 'rolling_back') return m.rail_bringing_back({ app });
  if (view.kind === 'restore') return m.rail_restoring({ app });
  if (view.kind === 'rehearsal') return m.rail_rehearsing({ app });
  if (view.kind === 'move') return m.rail_moving({ app });
  return m.rail_updating({ app });
}

export const progressFigure = (view: { progress: number }): string => percent(view.progress);

export function healthLabel(health: HealthView): string {
  switch (health.state) {
    case 'well':
      return m.health_well();
    case 'not_answering':
      return m.health_not_answering();
    case 'not_well':
      return m.health_not_well({ check: health.probes.find((it) => !it.up)?.name ?? m.unknown() });
    case 'unknown':
      return m.health_unknown();
    default:
      return health.state satisfies never;
  }
}

export function gradeLabel(grade: BackupView['grade']): string {
  switch (grade) {
    case 'taken':
      return m.grade_taken();
    case 'readable':
      return m.grade_readable();
    case 'proven':
      return m.grade_proven();
    case 'failed':
      return m.grade_failed();
    default:
      return grade satisfies never;
  }
}

export function kindLabel(kind: BackupView['kind']): string {
  switch (kind) {
    case 'manual':
      return m.kind_manual();
    case 'pre_update':
      return m.kind_pre_update();
    case 'scheduled':
      return m.kind_scheduled();
    default:
      return kind satisfies never;
  }
}

export const days = (n: number): string => m.days({ n, count: count(n) });
export const versions = (n: number): string => m.versions({ n, count: count(n) });
export const backupsN = (n: number): string => m.backups_n({ n, count: count(n) });
export const rows = (n: number): string => m.rows({ n, count: count(n) });

/** All of them, in the order in which they are offered. */
export const GRADES: BackupView['grade'][] = ['proven', 'readable', 'taken', 'failed'];
export const BACKUP_KINDS: BackupView['kind'][] = ['scheduled', 'manual', 'pre_update'];
