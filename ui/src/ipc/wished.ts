// What the window is ready for and the engine does not answer yet. Each is asked for only where the app has the command
// (`can` of the client), so that nothing can be reached that would not work. What is answered moves to `bindings.ts`.

import type { ErrorView, InstallationCard, NotesView } from './views';

export type LeavingStep = 'changes' | 'choose' | 'format' | 'export' | 'check' | 'fresh' | 'bring';
export type ExportFormat = 'csv' | 'json_lines' | 'json' | 'xlsx';
/** Leaving an old version whose data cannot come along. The engine keeps where it stands. */
export type LeavingView = {
  installation: string;
  title: string;
  from: string;
  to: string;
  step: LeavingStep;
  reasons: string[];
  help: { label: string; url: string }[];
  notes: NotesView;
  entities: { key: string; label: string; rows: number | null; chosen: boolean; left_out: string[] }[];
  everything: boolean;
  formats: ExportFormat[];
  container: 'folder' | 'zip';
  separator: 'comma' | 'semicolon';
  /** What runs now. */
  work: { message: string; progress: number; seconds_left: number | null } | null;
  problem: ErrorView | null;
  exported: {
    folder: string;
    is_checked: boolean;
    entities: { label: string; rows: number; files: string[]; bytes: number }[];
  } | null;
  fresh: { installation: string; url: string | null; version: string } | null;
  imported: {
    came_in: number;
    total: number;
    /** Where the rest is, each with its reason. */
    file: string | null;
    is_dry_run: boolean;
    reasons: { reason: string; rows: number }[];
    can_be_undone: boolean;
  } | null;
};
export type EntityPreview = { columns: string[]; rows: (string | null)[][] };

export type Wished = {
  // Leaving an old version. Each answers how it stands; while something runs, event `leaving` carries it.
  leaving: (a: { name: string; to: string }) => LeavingView;
  leaving_preview: (a: { name: string; to: string; entity: string }) => EntityPreview;
  leaving_choose: (a: {
    name: string;
    to: string;
    step: LeavingStep;
    entities: string[];
    everything: boolean;
    formats: ExportFormat[];
    container: 'folder' | 'zip';
    separator: 'comma' | 'semicolon';
  }) => LeavingView;
  leaving_export: (a: { name: string; to: string }) => LeavingView;
  leaving_fresh_start: (a: { name: string; to: string }) => LeavingView;
  leaving_import: (a: { name: string; to: string; dry_run: boolean }) => LeavingView;
  leaving_undo_import: (a: { name: string; to: string }) => LeavingView;
  leaving_open: (a: { name: string; to: string; what: 'export' | 'rest' }) => null;
};

/** What a card may hold beside what it holds today. */
type CardWishes = {
  leaving?: { to: string; step: LeavingStep } | null;
};
export const wishesOf = (card: InstallationCard): CardWishes => card as InstallationCard & CardWishes;
