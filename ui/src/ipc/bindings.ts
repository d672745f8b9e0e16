// First contract between the desktop crate (which will generate this file from Rust, ts-rs) and the UI.
// Field names are serde's snake_case. 64-bit numbers that may pass 2^53 are strings; sizes and counts are numbers.
// Times are RFC 3339 strings. An Option is `T | null`.

export type ErrorView = { class: string; code: number; message: string; remedy: string; details: string[] };
export type Severity = 'note' | 'warning' | 'stop';
/** `fix` names an act that `fix_finding` can do by itself; null where a person must. */
export type Finding = { class: string; severity: Severity; message: string; remedy: string; fix: string | null; details: string[] };
export type State =
  | 'pending' | 'checking' | 'backing_up' | 'downloading' | 'rehearsing' | 'applying' | 'migrating' | 'restarting'
  | 'verifying' | 'complete' | 'rolling_back' | 'rolled_back' | 'failed' | 'needs_attention';

/** Everything Home, the rail and the tray need; sent whole with event `app` whenever any of it changes. */
export type AppView = {
  version: string;
  home: string;
  /** Set where Liftlock itself cannot work: database of a newer Liftlock, home not writable, sidecar missing. */
  problem: ErrorView | null;
  has_tray: boolean;
  preferences: Preferences;
  lock: LockView;
  installations: InstallationCard[];
};
export type Preferences = {
  theme: 'system' | 'light' | 'dark';
  contrast: 'system' | 'more';
  text_percent: number;            // 80..200
  language: string;                // 'en'
  autostart: boolean;
  first_close_explained: boolean;
};
export type LockView = { set: boolean; locked: boolean; next_try_at: string | null };

export type InstallationCard = {
  name: string;                    // the id in every command
  title: string;                   // for people; any Unicode
  application: string;             // "Corner Shop"
  folder: string;
  url: string | null;
  version: string | null;
  added_at: string;
  health: HealthView;
  last_backup: BackupView | null;
  newest_backups: BackupView[];    // at most five
  update: UpdateOffer | null;
  /** Releases could not be asked: offline, rate limited. */
  releases: { checked_at: string | null; next_check_at: string | null; problem: ErrorView | null };
  /** The current upgrade while it runs or until it is acknowledged or has expired. */
  upgrade: UpgradeView | null;
  /** A result that no window has shown yet. */
  unseen: OutcomeLine | null;
  originals: OriginalView[];       // set-aside originals that are kept
};
export type HealthView = { state: 'unknown' | 'well' | 'not_answering' | 'not_well'; checked_at: string | null; probes: ProbeView[] };
export type ProbeView = { name: string; required: boolean; up: boolean; latency_ms: number; error: ErrorView | null };
export type OriginalView = { what: string; version: string | null; bytes: number; kept_since: string };
export type OutcomeLine = { upgrade_id: string; result: string; from: string | null; to: string; finished_at: string };

export type UpdateOffer = {
  to: string;
  level: 1 | 2 | 3 | 4;            // loudness, UI §4
  days_behind: number;
  versions_behind: number;
  breaking: boolean;
  reasons: string[];               // why breaking, sentences
  security: { id: string; severity: string; summary: string; url: string | null } | null;
  headline: string | null;
  published_at: string | null;
  /** Quiet until then: dismissed, reminded, paused. */
  quiet_until: string | null;
  skipped: boolean;
};

/** The page Update. Made by `plan`, touches nothing. */
export type ConfirmView = {
  installation: string; title: string;
  from: string | null; to: string | null;
  possible: boolean;
  trust: string;                   // 'signed' | 'attested' | 'tagged' | 'checksum' | 'none'
  estimate: { seconds: number; source: 'rehearsed' | 'last_time' | 'size'; made_at: string | null } | null;
  way: 'copy' | 'in_place';
  rehearsal: boolean;
  breaking: boolean;
  path: string[];                  // stops on the way, without from, with to
  findings: Finding[];             // stops first
  notes: NotesView;
  scheduled_for: string | null;    // "tonight"
};
/** Markdown as written, newest first; sanitised in the window. `cut` where more exists. */
export type NotesView = { releases: { version: string; published_at: string | null; url: string | null; markdown: string }[]; cut: boolean };

export type PhaseView = { phase: State; state: 'done' | 'now' | 'to_come' | 'skipped'; outcome: string | null; seconds: number | null };
export type StepBack = { name: string; sentence: string; state: 'done' | 'now' | 'to_come' };
export type UpgradeView = {
  upgrade_id: string; installation: string; title: string; kind: 'upgrade' | 'restore' | 'rehearsal' | 'rollback';
  state: State; active: boolean; interrupted: boolean;
  interrupted_because: string | null;      // sentence: "The computer was restarted at 14:02."
  from: string | null; to: string;
  holder: { user: string; host: string; pid: number; started_at: string } | null;
  progress: number; message: string;
  phases: PhaseView[];             // always the same eight
  steps_back: StepBack[];          // empty until it goes back
  people_can_use: boolean;         // truth of the lock picture
  away_since: string | null; away_seconds: number | null;
  rate: string | null; seconds_left: number | null;
  slow: { sign: string; seconds: number } | null;   // "takes longer than expected, it still moves"
  way_out: 'cancel' | 'bring_back' | 'none';
  /** The rehearsal measured more than twice what was confirmed. */
  question: { kind: 'longer'; measured_seconds: number; confirmed_seconds: number; until: string } | null;
  data: 'untouched' | 'new' | 'restored' | 'unknown';  // what was observed of the user's data
  started_at: string | null; finished_at: string | null; acknowledged_at: string | null; expires_at: string | null;
  seq: string;
  result: string | null;
  error: ErrorView | null;
  commands: string[];              // needs_attention: exact commands, one each
  receipt: ReceiptView | null;
};
export type ReceiptView = {
  backup: { grade: string; bytes: number; seconds: number | null; path: string } | null;
  rows_before: number | null; rows_after: number | null; rows_removed: number | null;
  away_seconds: number | null;
  longest: { phase: State; seconds: number } | null;
  way_back: { version: string; until: string | null; bytes: number | null } | null;
  trust: string;
  steps: { sentence: string; seconds: number | null }[];
  html: string; json: string;
};
export type LogLine = { seq: string; at: string; line: string };

export type BackupView = {
  id: string; installation: string; title: string; kind: 'manual' | 'pre_update' | 'scheduled';
  grade: 'taken' | 'readable' | 'proven' | 'failed'; reason: string | null;
  version: string | null; bytes: number; note: string; made_at: string; proven_at: string | null; path: string; pinned: boolean;
};
export type CompareView = {
  backup: BackupView; version_now: string | null;
  rows: { table: string; now: number | null; then: number | null }[];
  loses: string[];                 // "14 orders entered since then", most important first
};
export type BackupJob = { id: string; installation: string; progress: number; message: string; rate: string | null; seconds_left: number | null; done: BackupView | null; error: ErrorView | null };

export type HistoryLine = OutcomeLine & { installation: string; title: string; elapsed_seconds: number | null; message: string; error_class: string | null };
export type HistoryView = { file: string; lines: HistoryLine[]; intact: boolean; broken_line: number | null };
export type SettingView = { key: string; value: string; default: string; about: string };
export type DiagnosticsView = { checked_at: string; findings: Finding[]; report: { name: string; bytes: number; preview: string }[] };

/** Welcome. Questions are asked one a page, each answer is tried at once. */
export type Discovered = { token: string; application: string; title: string; version: string | null; reason: string; folder: string; questions: Question[] };
export type Question = { key: string; kind: 'folder' | 'file' | 'text' | 'password'; label: string; why: string; usual_place: string | null; value: string | null };
export type Discovery = { found: Discovered[]; projects: number; folders: number };

/** Every command: argument object in, view out; a rejected promise carries an ErrorView. Paths are chosen in native dialogs opened by Rust. */
export type Commands = {
  app_view: () => AppView;
  set_preference: (a: { key: keyof Preferences; value: string }) => AppView;
  // Welcome
  find_applications: () => Discovery;
  choose_folder: () => Discovered | null;
  choose_file: (a: { token: string; key: string }) => string | null;
  try_answer: (a: { token: string; key: string; value: string }) => null;
  add_installation: (a: { token: string; title: string; autostart: boolean; nightly_backup: boolean }) => InstallationCard;
  start_sample: () => InstallationCard;
  remove_installation: (a: { name: string }) => null;
  open_application: (a: { name: string }) => null;
  open_link: (a: { url: string }) => null;          // allow list in Rust
  open_folder: (a: { name: string; what: 'backup' | 'home' | 'receipt'; id: string | null }) => null;
  // Home
  check_health: (a: { name: string }) => InstallationCard;
  check_releases: (a: { name: string | null }) => AppView;
  quiet: (a: { name: string; kind: 'dismiss' | 'tomorrow' | 'week' | 'skip' | 'pause' | 'resume' }) => AppView;
  // Update
  plan: (a: { name: string; to: string | null }) => ConfirmView;
  notes: (a: { name: string; to: string; all: boolean }) => NotesView;
  fix_finding: (a: { name: string; fix: string }) => ConfirmView;
  start_upgrade: (a: { name: string; to: string; rehearse_only: boolean }) => UpgradeView;
  schedule_upgrade: (a: { name: string; to: string; at: string | null }) => ConfirmView;
  upgrade: (a: { id: string }) => UpgradeView;
  upgrade_log: (a: { id: string; after: string }) => LogLine[];
  answer: (a: { id: string; go_on: boolean }) => UpgradeView;
  cancel: (a: { id: string }) => UpgradeView;       // before the change cancels, after it brings back
  retry: (a: { id: string }) => UpgradeView;
  settle: (a: { id: string }) => UpgradeView;
  rollback: (a: { name: string; accept_loss: boolean }) => UpgradeView;
  acknowledge: (a: { id: string }) => AppView;
  seen: (a: { id: string }) => null;
  save_receipt: (a: { id: string }) => string | null;
  // Backups
  backups: (a: { name: string | null }) => BackupView[];
  back_up: (a: { name: string; note: string }) => BackupJob;
  cancel_job: (a: { id: string }) => null;
  prove_backup: (a: { id: string }) => BackupJob;
  compare: (a: { id: string }) => CompareView;
  restore: (a: { id: string; typed: string }) => UpgradeView;
  // History, settings, help
  history: (a: { name: string | null }) => HistoryView;
  settings: () => SettingView[];
  set_setting: (a: { key: string; value: string | null }) => SettingView[];
  diagnostics: () => DiagnosticsView;
  save_report: () => string | null;
  // Administrator lock
  set_lock: (a: { passphrase: string }) => { recovery_code: string };
  remove_lock: (a: { passphrase: string }) => LockView;
  lock: () => LockView;
  unlock: (a: { passphrase: string }) => LockView;
  // Window
  answer_close: (a: { how: 'close' | 'quit' | 'stay' }) => null;
};

/** Events carry whole views. `navigate` asks the window for a route (from the tray or a notification). */
export type Events = {
  app: AppView;
  upgrade: UpgradeView;
  job: BackupJob;
  lock: LockView;
  navigate: { route: string };
  ask_close: { why: 'first_close' | 'quit_during_upgrade' | 'no_tray' };
};
