// The commands and events of the window. What they carry is made out of the engine's views, in `views.ts`.

import type {
  AppView,
  ApplicationSettingsView,
  BackupCareView,
  BackupCopyView,
  BackupDetailsView,
  BackupJob,
  BackupTable,
  BackupView,
  CompareView,
  ConfirmView,
  DiagnosticsView,
  Discovered,
  Discovery,
  Duplicates,
  EntityPreview,
  FileView,
  GoBackView,
  HistoryView,
  InstallationCard,
  LeavingAct,
  LeavingChoice,
  LeavingStep,
  LeavingView,
  MappedChange,
  MappingTable,
  PairAnswer,
  LockView,
  LogLine,
  NotesView,
  Preferences,
  SafekeepingView,
  SetAsideView,
  SettingView,
  TableLook,
  UpgradeView,
} from './views';

export type * from './views';

/** Every command: argument object in, view out; a rejected promise carries an ErrorView. Paths are chosen in native dialogs opened by Rust. */
export type Commands = {
  app_view: () => AppView;
  set_preference: (a: { key: keyof Preferences; value: string }) => AppView;
  // Welcome
  find_applications: () => Discovery;
  choose_folder: () => Discovered | null;
  choose_file: (a: { token: string; key: string }) => string | null;
  try_answer: (a: { token: string; key: string; value: string }) => Discovered;
  add_installation: (a: {
    token: string;
    title: string;
    autostart: boolean;
    nightly_backup: boolean;
  }) => InstallationCard;
  start_sample: () => InstallationCard;
  remove_installation: (a: { name: string }) => null;
  open_application: (a: { name: string }) => null;
  open_link: (a: { url: string }) => null; // allow list in Rust
  open_folder: (a: { name: string; what: 'backup' | 'home' | 'receipt'; id: string | null }) => null;
  // Home
  check_health: (a: { name: string }) => InstallationCard;
  check_releases: (a: { name: string | null }) => AppView;
  quiet: (a: {
    name: string;
    kind: 'dismiss' | 'tomorrow' | 'week' | 'skip' | 'pause' | 'resume';
  }) => AppView;
  /** The question of the day was shown; it is not due again today. */
  daily_question_asked: (a: { name: string }) => AppView;
  // Leaving an old version. What takes time goes on by itself; event `leaving` carries how it stands.
  leaving: (a: { name: string; to: string }) => LeavingView;
  leaving_preview: (a: { name: string; entity: string }) => EntityPreview;
  leaving_choose: (a: { name: string; to: string; step: LeavingStep; choice: LeavingChoice }) => LeavingView;
  leaving_begin: (a: {
    name: string;
    to: string;
    act: LeavingAct;
    typed: string | null;
    duplicates: Duplicates | null;
    answers: PairAnswer[];
  }) => LeavingView;
  leaving_mapping: (a: { name: string; to: string }) => MappingTable;
  leaving_map: (a: { name: string; to: string; changes: MappedChange[]; reset: boolean }) => MappingTable;
  leaving_forget: (a: { name: string; to: string }) => AppView;
  leaving_open: (a: { name: string; to: string; what: 'export' | 'rest' }) => null;
  set_aside: (a: { name: string }) => SetAsideView;
  look_at_set_aside: (a: { name: string }) => SetAsideView;
  stop_set_aside: (a: { name: string }) => SetAsideView;
  remove_set_aside: (a: { name: string; typed: string }) => SetAsideView;
  // Update
  plan: (a: { name: string; to: string | null }) => ConfirmView;
  notes: (a: { name: string; to: string; all: boolean }) => NotesView;
  fix_finding: (a: { name: string; fix: string; to?: string | null }) => ConfirmView;
  say_of_setting: (a: { name: string; key: string; value: string | null; to: string | null }) => ConfirmView;
  start_upgrade: (a: { name: string; to: string; rehearse_only: boolean }) => UpgradeView;
  schedule_upgrade: (a: { name: string; to: string; at: string | null }) => ConfirmView;
  forget_missed: (a: { name: string }) => AppView;
  upgrade: (a: { id: string }) => UpgradeView;
  upgrade_log: (a: { id: string; after: string }) => LogLine[];
  answer: (a: { id: string; go_on: boolean }) => UpgradeView;
  cancel: (a: { id: string }) => UpgradeView; // before the change cancels, after it brings back
  retry: (a: { id: string }) => UpgradeView;
  settle: (a: { id: string }) => UpgradeView;
  rollback: (a: { name: string; accept_loss: boolean }) => UpgradeView;
  go_back_preview: (a: { name: string }) => GoBackView;
  go_back: (a: { name: string }) => UpgradeView;
  acknowledge: (a: { id: string }) => AppView;
  seen: (a: { id: string }) => null;
  save_receipt: (a: { id: string }) => string | null;
  // Backups
  backups: (a: { name: string | null }) => BackupView[];
  back_up: (a: { name: string; note: string }) => BackupJob;
  /** One backup with all that is known of it; where its copies lie may have to be asked far away. */
  backup_details: (a: { id: string }) => BackupDetailsView;
  copies_of: (a: { id: string }) => BackupCopyView[];
  remove_backup: (a: { id: string; typed: string }) => null;
  cancel_job: (a: { id: string }) => null;
  prove_backup: (a: { id: string }) => BackupJob;
  /** Each answers how the backups of the application are cared for. */
  backup_care: (a: { name: string }) => BackupCareView;
  set_backup_schedule: (a: { name: string; when: string | null }) => BackupCareView;
  prune_backups: (a: { name: string }) => BackupCareView;
  pin_backup: (a: { id: string; pinned: boolean }) => BackupView[];
  /** Where copies of backups go: chosen in a dialog of the desktop; null where that was closed. */
  choose_copy_folder: () => SettingView[] | null;
  /** Where new backups are kept; the same. */
  choose_backup_folder: () => SettingView[] | null;
  /** Shows the page that restores a backup without Liftlock. */
  open_rescue_kit: (a: { id: string }) => null;
  /** A file of another machine: chosen in a dialog of the desktop, looked into; null where that was closed. */
  inspect_file: (a: { name: string }) => FileView | null;
  /** Makes a backup of the file that was chosen last. */
  adopt_file: (a: { name: string; typed: string | null; other_tables: boolean }) => BackupJob;
  backup_tables: (a: { id: string }) => BackupTable[];
  look_at_table: (a: { id: string; table: string }) => TableLook;
  looks: (a: { name: string }) => TableLook[];
  remove_look: (a: { name: string; database: string }) => TableLook[];
  safekeeping: () => SafekeepingView;
  /** The newest one, or the one of this id; one that has a copy is only read there. */
  copy_now: (a: { name: string; id: string | null }) => BackupJob;
  /** Where a copy of it was found damaged. */
  renew_copy: (a: { id: string }) => BackupJob;
  stop_copies: () => SafekeepingView;
  /** Another passphrase than before only where `keeps_both` says that a person keeps both. */
  encrypt_with_passphrase: (a: { passphrase: string; keeps_both: boolean }) => SafekeepingView;
  /** As it was before that was ended. */
  encrypt_again: () => SafekeepingView;
  /** The secret key is chosen in a dialog; null where that was closed. */
  encrypt_to: (a: { recipient: string }) => SafekeepingView | null;
  stop_encrypting: () => SafekeepingView;
  compare: (a: { id: string }) => CompareView;
  restore: (a: { id: string; typed: string }) => UpgradeView;
  // History, settings, help
  history: (a: { name: string | null }) => HistoryView;
  save_history: (a: { name: string | null }) => string | null;
  settings: () => SettingView[];
  set_setting: (a: { key: string; value: string | null }) => SettingView[];
  application_settings: (a: { name: string }) => ApplicationSettingsView;
  set_application_setting: (a: {
    name: string;
    key: 'trust' | 'channel' | 'unattended';
    /** `unattended`: days and hours, "every day 02:00-05:00"; null: the usual value. */
    value: string | null;
  }) => ApplicationSettingsView;
  diagnostics: () => DiagnosticsView;
  save_report: () => string | null;
  // Administrator lock
  set_lock: (a: { passphrase: string }) => { recovery_code: string };
  /** Kept in a file of the person's choice; where, or null where the dialog was closed. */
  save_recovery_code: (a: { code: string }) => string | null;
  /** Opens the system's dialog for printing; on paper stands the code alone. */
  print_recovery_code: () => null;
  remove_lock: (a: { passphrase: string }) => LockView;
  lock: () => LockView;
  unlock: (a: { passphrase: string }) => LockView;
  // Window
  answer_close: (a: { how: 'close' | 'quit' | 'stay' }) => null;
};

/** Events carry whole views. `navigate` asks the window for a route (from the tray or a notification). */
export type Events = {
  leaving: LeavingView;
  app: AppView;
  upgrade: UpgradeView;
  job: BackupJob;
  lock: LockView;
  navigate: { route: string };
  ask_close: { why: 'first_close' | 'quit_during_upgrade' | 'no_tray' };
};
