//! Backups and Restore.

use std::path::Path;

use liftlock_engine::Engine;
use liftlock_engine::error::{Error, Result};
use liftlock_engine::view::window::{
    BackupCareView, BackupCopyView, BackupDetailsView, BackupJob, BackupView, CompareView, JobAct, UpgradeView,
};
use liftlock_engine::view::{ErrorView, SettingView};
use tauri::{AppHandle, State};
use tauri_plugin_opener::OpenerExt;

use super::jobs::{Jobs, Task, begin};
use super::{Answer, ask, by, chosen, named};

/// Whose backup it is, by its id.
pub(super) fn owner(id: &str) -> &str {
    id.split('/').next().unwrap_or_default()
}

/// Every backup, newest first.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn backups(app: AppHandle, name: Option<String>) -> Answer<Vec<BackupView>> {
    ask(&app, move |engine| engine.backup_list(name.as_deref().map(named).transpose()?.as_ref())).await
}

/// One backup, with all that is known of it here.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn backup_details(app: AppHandle, id: String) -> Answer<BackupDetailsView> {
    ask(&app, move |engine| engine.backup_details(&id)).await
}

/// Where its copies are, which may have to be asked far away.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn copies_of(app: AppHandle, id: String) -> Answer<Vec<BackupCopyView>> {
    ask(&app, move |engine| engine.copies_of(&id)).await
}

/// Removes it for good.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn remove_backup(app: AppHandle, id: String, typed: String) -> Answer<()> {
    ask(&app, move |engine| engine.remove_backup(&engine.backup_folder(&id)?, Some(&typed))).await?;
    crate::watch::tell(&app);
    Ok(())
}

/// Begins a backup; how it goes is told as `job`.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn back_up(app: AppHandle, name: String, note: String) -> Answer<BackupJob> {
    let task = Task::of(JobAct::BackUp, &name, "Making a backup and restoring it once, on the side, to prove it.");
    begin(&app, task, move |engine, teller| engine.backup(&named(&name)?, &note, teller))
}

/// Restores a backup once more, on the side.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn prove_backup(app: AppHandle, id: String) -> Answer<BackupJob> {
    let task = Task::of(JobAct::Prove, owner(&id), "Restoring the backup on the side, to prove it.").about(&id);
    begin(&app, task, move |engine, teller| engine.verify_backup(&engine.backup_folder(&id)?, teller))
}

/// Stops one of them; it leaves nothing behind.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn cancel_job(jobs: State<'_, Jobs>, id: String) -> Answer<()> {
    jobs.stop(&id);
    Ok(())
}

/// What is there now beside what a backup holds.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn compare(app: AppHandle, id: String) -> Answer<CompareView> {
    ask(&app, move |engine| engine.compare_view(&id)).await
}

/// Puts an application back to a backup.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn restore(app: AppHandle, id: String, typed: String) -> Answer<UpgradeView> {
    ask(&app, move |engine| {
        let folder = engine.backup_folder(&id)?;
        let upgrade = engine.restore(&named(owner(&id))?, &folder, &typed, &by())?;
        engine.upgrade_view(upgrade)
    })
    .await
}

/// How the backups of an application are looked after.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn backup_care(app: AppHandle, name: String) -> Answer<BackupCareView> {
    ask(&app, move |engine| engine.backup_care(&name)).await
}

/// Makes them at set times from now on; without one, at none.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn set_backup_schedule(app: AppHandle, name: String, when: Option<String>) -> Answer<BackupCareView> {
    ask(&app, move |engine| engine.set_backup_schedule(&name, when.as_deref())).await
}

/// Removes what the keeping rule does not keep.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn prune_backups(app: AppHandle, name: String) -> Answer<BackupCareView> {
    let view = ask(&app, move |engine| {
        engine.prune(&named(&name)?)?;
        engine.backup_care(&name)
    })
    .await?;
    crate::watch::tell(&app);
    Ok(view)
}

/// Keeps a backup whatever the rule says, or takes that back.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn pin_backup(app: AppHandle, id: String, pinned: bool) -> Answer<Vec<BackupView>> {
    ask(&app, move |engine| {
        engine.pin_backup(&engine.backup_folder(&id)?, pinned)?;
        engine.backup_list(None)
    })
    .await
}

/// Lets a person choose the folder that backups are copied to; answers the settings, nothing where the dialog was closed.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn choose_copy_folder(app: AppHandle) -> Answer<Option<Vec<SettingView>>> {
    with_a_folder(&app, |engine, folder| engine.copy_backups_to(Some(folder))).await
}

/// The same of the folder that new backups are kept in.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn choose_backup_folder(app: AppHandle) -> Answer<Option<Vec<SettingView>>> {
    with_a_folder(&app, |engine, folder| engine.choose("backup_folder", Some(&folder.display().to_string()))).await
}

async fn with_a_folder(
    app: &AppHandle,
    take: impl FnOnce(&Engine, &Path) -> Result<()> + Send + 'static,
) -> Answer<Option<Vec<SettingView>>> {
    let Some(folder) = chosen(app, |dialog, tell| dialog.pick_folder(tell)).await else { return Ok(None) };
    ask(app, move |engine| {
        take(engine, &folder)?;
        engine.settings().map(Some)
    })
    .await
}

/// Opens the page that says how a backup is restored without Liftlock.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn open_rescue_kit(app: AppHandle, id: String) -> Answer<()> {
    let page = ask(&app, move |engine| Ok(engine.backup_folder(&id)?.join("RESTORE.html"))).await?;
    app.opener().open_path(page.display().to_string(), None::<&str>).map_err(|cause| {
        ErrorView::from(
            &Error::failed("no_viewer", "The page could not be opened.")
                .remedy(format!("Open {} in your browser.", page.display()))
                .because(&cause),
        )
    })
}
