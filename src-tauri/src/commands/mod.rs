//! What the window may ask for, a file a screen. A command takes names and choices, never paths or programs, calls one
//! verb of the engine, and answers with a view or an error as every face shows it.

mod backups;
mod files;
mod home;
mod jobs;
mod leaving;
mod lock;
mod pages;
mod upgrades;
mod welcome;

pub(crate) use files::ChosenFile;
pub(crate) use jobs::Jobs;
use std::path::PathBuf;

use liftlock_engine::Engine;
use liftlock_engine::error::{Error, Result};
use liftlock_engine::model::ids::{InstallationName, UpgradeId};
use liftlock_engine::view::ErrorView;
use tauri::{AppHandle, Manager};
use tauri_plugin_dialog::{DialogExt, FileDialogBuilder};
pub(crate) use welcome::Candidates;

use crate::app::App;

/// An answer to the window.
type Answer<T> = std::result::Result<T, ErrorView>;

/// Every command.
pub(crate) fn handler() -> impl Fn(tauri::ipc::Invoke) -> bool + Send + Sync + 'static {
    tauri::generate_handler![
        home::app_view,
        home::set_preference,
        welcome::find_applications,
        welcome::choose_folder,
        welcome::choose_file,
        welcome::try_answer,
        welcome::add_installation,
        welcome::start_sample,
        home::remove_installation,
        home::open_application,
        home::open_link,
        home::check_health,
        home::check_releases,
        home::quiet,
        home::daily_question_asked,
        home::answer_close,
        upgrades::plan,
        upgrades::notes,
        upgrades::fix_finding,
        upgrades::say_of_setting,
        upgrades::start_upgrade,
        upgrades::answer,
        upgrades::schedule_upgrade,
        upgrades::forget_missed,
        upgrades::upgrade,
        upgrades::upgrade_log,
        upgrades::cancel,
        upgrades::retry,
        upgrades::settle,
        upgrades::rollback,
        upgrades::go_back_preview,
        upgrades::go_back,
        upgrades::acknowledge,
        upgrades::seen,
        upgrades::save_receipt,
        backups::backups,
        backups::backup_details,
        backups::copies_of,
        backups::remove_backup,
        backups::back_up,
        backups::cancel_job,
        backups::prove_backup,
        backups::compare,
        backups::restore,
        backups::backup_care,
        backups::set_backup_schedule,
        backups::prune_backups,
        backups::pin_backup,
        backups::choose_copy_folder,
        backups::choose_backup_folder,
        backups::open_rescue_kit,
        files::inspect_file,
        files::adopt_file,
        files::backup_tables,
        files::look_at_table,
        files::looks,
        files::remove_look,
        files::safekeeping,
        files::copy_now,
        files::renew_copy,
        files::stop_copies,
        files::encrypt_with_passphrase,
        files::encrypt_again,
        files::encrypt_to,
        files::stop_encrypting,
        leaving::leaving,
        leaving::leaving_preview,
        leaving::leaving_choose,
        leaving::leaving_begin,
        leaving::leaving_mapping,
        leaving::leaving_map,
        leaving::leaving_open,
        leaving::leaving_forget,
        leaving::set_aside,
        leaving::look_at_set_aside,
        leaving::stop_set_aside,
        leaving::remove_set_aside,
        pages::history,
        pages::save_history,
        pages::settings,
        pages::set_setting,
        pages::application_settings,
        pages::set_application_setting,
        pages::diagnostics,
        pages::save_report,
        pages::open_folder,
        lock::set_lock,
        lock::save_recovery_code,
        lock::print_recovery_code,
        lock::remove_lock,
        lock::lock,
        lock::unlock,
    ]
}

/// Calls the engine where it may take its time.
async fn ask<T: Send + 'static>(
    app: &AppHandle,
    verb: impl FnOnce(&Engine) -> Result<T> + Send + 'static,
) -> Answer<T> {
    let engine = app.state::<App>().engine().map_err(|error| ErrorView::from(&error))?;
    let done = tauri::async_runtime::spawn_blocking(move || verb(&engine)).await;
    match done {
        Ok(answer) => answer.map_err(|error| ErrorView::from(&error)),
        Err(cause) => {
            Err(ErrorView::from(&Error::bug("window", "Something in Liftlock's window broke.").because(&cause)))
        }
    }
}

/// The name of an installation, as the window knows it.
fn named(text: &str) -> Result<InstallationName> {
    text.parse()
}

fn id_of(text: &str) -> Result<UpgradeId> {
    text.parse().map_err(|_| {
        Error::usage("unknown_upgrade", "This update is not known.")
            .remedy("Look at the history; it lists every update.")
    })
}

/// Who asked, for the record.
fn by() -> String {
    "the window".to_owned()
}

/// What a person chose in a dialog of the desktop.
async fn chosen(
    app: &AppHandle,
    open: impl FnOnce(FileDialogBuilder<tauri::Wry>, Box<dyn FnOnce(Option<tauri_plugin_dialog::FilePath>) + Send>),
) -> Option<PathBuf> {
    let (send, receive) = std::sync::mpsc::channel();
    open(app.dialog().file(), Box::new(move |path| drop(send.send(path))));
    let path = tauri::async_runtime::spawn_blocking(move || receive.recv().ok().flatten()).await.ok().flatten();
    path?.into_path().ok()
}
