//! Prints the types of the window as TypeScript: `cargo xtask bindings` keeps them in `ui/src/ipc/views.ts`.

use liftlock_engine::backups::BackupKind;
use liftlock_engine::export::manifest::FileFormat;
use liftlock_engine::model::finding::Severity;
use liftlock_engine::model::maintenance::Reach;
use liftlock_engine::model::notice::Quiet;
use liftlock_engine::model::release::Trust;
use liftlock_engine::model::state::State;
use liftlock_engine::state::upgrades::Outcome;
use liftlock_engine::stores::Grade;
use liftlock_engine::stores::foreign::{FileKind, FileTable};
use liftlock_engine::stores::look::TableLook;
use liftlock_engine::view::window::*;
use liftlock_engine::view::{
    BackupTable, Duplicates, EncryptionView, ErrorView, FileView, FreshState, HoleView, LockView, PlannedUpdate,
    ProbeView, SetAsideUse, SetAsideView, SettingView, UnattendedUpdate, UnattendedView, UpdateOffer,
};
use ts_rs::{Config, TS};

fn main() {
    println!("// Made by `cargo xtask bindings` out of the engine's views. Not to be changed by hand.\n");
    let config = Config::default();
    macro_rules! types {
        ($($name:ty),* $(,)?) => { $( println!("export {}\n", <$name>::decl(&config)); )* };
    }
    types![
        State,
        Severity,
        Quiet,
        Outcome,
        BackupKind,
        Grade,
        Trust,
        ErrorView,
        ProbeView,
        HoleView,
        UpdateOffer,
        SettingView,
        AppView,
        Preferences,
        LockView,
        InstallationCard,
        DiskView,
        HealthView,
        HealthState,
        ReleasesView,
        OriginalView,
        OutcomeLine,
        ScheduledView,
        MissedView,
        PlannedUpdate,
        UnattendedUpdate,
        UnattendedView,
        Reach,
        ApplicationSettingsView,
        TrustRule,
        ChannelRule,
        GoBackView,
        LeavingStep,
        LeavingAct,
        Separator,
        FileFormat,
        FreshState,
        Duplicates,
        LeavingChoice,
        LeavingView,
        HelpLink,
        LeavingEntity,
        EntityPreview,
        LeavingWork,
        LeavingProblem,
        LeavingExport,
        LeavingExported,
        LeavingFresh,
        LeavingImport,
        LeavingImported,
        RowsOut,
        LeavingTakenBack,
        LeavingLine,
        SetAsideView,
        SetAsideUse,
        UpgradeView,
        UpgradeKind,
        HolderView,
        PhaseView,
        PhaseOutcome,
        PhaseWord,
        PhaseState,
        StepBack,
        StepState,
        SlowView,
        WayOut,
        Question,
        DataState,
        ReceiptView,
        BackupOfReceipt,
        LongestPhase,
        WayBack,
        StepOfReceipt,
        LogLine,
        ConfirmView,
        Estimate,
        EstimateSource,
        NotesView,
        NotesOfRelease,
        BackupView,
        CompareView,
        TableRows,
        HistoryLine,
        HistoryView,
        Finding,
        DiagnosticsView,
        ReportFile,
        BackupJob,
        BackupCareView,
        BackupScheduleView,
        KeepingRule,
        SafekeepingView,
        EncryptionView,
        FileView,
        FileKind,
        FileTable,
        BackupTable,
        TableLook,
        Discovery,
        Discovered,
        AskedView,
        AskedKind,
    ];
}
