//! History, Settings and Help.

use liftlock_engine::error::Error;
use liftlock_engine::view::window::{ApplicationSettingsView, DiagnosticsView, HistoryView};
use liftlock_engine::view::{ErrorView, SettingView};
use tauri::AppHandle;
use tauri_plugin_opener::OpenerExt;

use super::{Answer, ask, chosen, id_of};

/// What was done, newest first.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn history(app: AppHandle, name: Option<String>) -> Answer<HistoryView> {
    ask(&app, move |engine| engine.history_page(name.as_deref())).await
}

/// Saves the history where a person wants it; answers where, nothing where the dialog was closed.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn save_history(app: AppHandle, name: Option<String>) -> Answer<Option<String>> {
    let target = chosen(&app, |dialog, tell| dialog.set_file_name("liftlock-history.csv").save_file(tell)).await;
    let Some(target) = target else { return Ok(None) };
    ask(&app, move |engine| {
        engine.save_history(name.as_deref(), &target)?;
        Ok(Some(target.display().to_string()))
    })
    .await
}

/// Everything that can be chosen.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn settings(app: AppHandle) -> Answer<Vec<SettingView>> {
    ask(&app, |engine| engine.settings()).await
}

/// Chooses, or takes a choice back.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn set_setting(app: AppHandle, key: String, value: Option<String>) -> Answer<Vec<SettingView>> {
    ask(&app, move |engine| {
        engine.choose(&key, value.as_deref())?;
        engine.settings()
    })
    .await
}

/// What holds for one application only.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn application_settings(app: AppHandle, name: String) -> Answer<ApplicationSettingsView> {
    ask(&app, move |engine| engine.application_settings(&name)).await
}

/// Chooses what holds for one application only.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn set_application_setting(
    app: AppHandle,
    name: String,
    key: String,
    value: Option<String>,
) -> Answer<ApplicationSettingsView> {
    let view = ask(&app, move |engine| {
        let view = engine.set_application_setting(&name, &key, value.as_deref())?;
        engine.fit_timer()?;
        Ok(view)
    })
    .await?;
    crate::watch::tell(&app);
    Ok(view)
}

/// What is found about Liftlock itself.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn diagnostics(app: AppHandle) -> Answer<DiagnosticsView> {
    ask(&app, |engine| engine.diagnostics()).await
}

/// Saves the report where a person wants it; answers where, nothing where the dialog was closed.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn save_report(app: AppHandle) -> Answer<Option<String>> {
    let target = chosen(&app, |dialog, tell| dialog.set_file_name("liftlock-report.zip").save_file(tell)).await;
    let Some(target) = target else { return Ok(None) };
    ask(&app, move |engine| {
        engine.save_report(&target)?;
        Ok(Some(target.display().to_string()))
    })
    .await
}

/// Shows a folder of ours in the file manager: which one is said by name.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn open_folder(app: AppHandle, what: String, id: Option<String>) -> Answer<()> {
    let path = ask(&app, move |engine| match (what.as_str(), id) {
        ("backup", Some(id)) => engine.backup_folder(&id),
        ("receipt", Some(id)) => engine.receipt_page(id_of(&id)?),
        ("home", _) => Ok(engine.home().to_owned()),
        _ => Err(Error::usage("unknown_folder", "There is no such folder.").remedy("Go back to Home.")),
    })
    .await?;
    app.opener().reveal_item_in_dir(&path).map_err(|cause| {
        ErrorView::from(
            &Error::failed("file_manager", format!("{} could not be shown.", path.display()))
                .remedy("Open it in your file manager.")
                .because(&cause),
        )
    })
}
