// Why a backup stays or goes, where its copies are and what its parts are called, in a person's words.

import type { CopyState, Kept, StoreKind } from '../ipc/bindings';
import { m } from '../paraglide/messages.js';
import { count } from './format';

const KEPT: Record<Kept, () => string> = {
  pinned: m.kept_pinned,
  needed: m.kept_needed,
  last_proven: m.kept_last_proven,
  newest: m.kept_newest,
  calendar: m.kept_calendar,
  nothing_better: m.kept_nothing_better,
};
/** What the keeping rule says of it. */
export const keptSays = (kept: Kept | null): string => (kept === null ? m.kept_goes() : KEPT[kept]());

const HELD: Record<Kept, () => string> = {
  pinned: m.held_pinned,
  needed: m.held_needed,
  last_proven: m.held_last_proven,
  newest: m.held_none_proven,
  calendar: m.held_none_proven,
  nothing_better: m.held_none_proven,
};
/** Why nobody removes it. */
export const heldSays = (why: Kept): string => HELD[why]();

const COPIES: Record<CopyState, () => string> = {
  there: m.copy_there,
  missing: m.copy_missing,
  away: m.copy_away,
  damaged: m.copy_damaged,
};
export const copyState = (state: CopyState): string => COPIES[state]();

const PARTS: Record<StoreKind, () => string> = {
  postgres: m.part_postgres,
  sqlite: m.part_sqlite,
  files: m.part_of_files,
};
export const partKind = (kind: StoreKind): string => PARTS[kind]();
export const tablesN = (n: number): string => m.tables_n({ n, count: count(n) });
