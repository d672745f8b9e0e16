//! Update, Progress and Result.

use chrono::{DateTime, Utc};
use liftlock_engine::process::Silent;
use liftlock_engine::view::window::{AppView, ConfirmView, GoBackView, LogLine, NotesView, UpgradeView};
use tauri::{AppHandle, Manager};

use super::{Answer, ask, by, chosen, id_of, named};
use crate::app::App;
use crate::watch;

/// What an update would do; touches nothing.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn plan(app: AppHandle, name: String, to: Option<String>) -> Answer<ConfirmView> {
    ask(&app, move |engine| engine.confirm_view(&name, to.as_deref())).await
}

/// Asks for an update, or for its rehearsal, and starts the worker that does it.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn start_upgrade(
    app: AppHandle,
    name: String,
    to: String,
    rehearse_only: bool,
) -> Answer<UpgradeView> {
    ask(&app, move |engine| engine.upgrade_view(engine.start_confirmed(&name, &to, rehearse_only, &by())?)).await
}

/// What is new in an update.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn notes(app: AppHandle, name: String, to: String, all: bool) -> Answer<NotesView> {
    ask(&app, move |engine| engine.notes_view(&name, &to, all)).await
}

/// Mends what was found, where that takes no person, and looks again.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn fix_finding(app: AppHandle, name: String, fix: String, to: Option<String>) -> Answer<ConfirmView> {
    ask(&app, move |engine| engine.fix_finding(&name, &fix, to.as_deref(), &by())).await
}

/// What a setting that the update asks for is to be; without a value one is made up. Answers what the update would do now.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn say_of_setting(
    app: AppHandle,
    name: String,
    key: String,
    value: Option<String>,
    to: Option<String>,
) -> Answer<ConfirmView> {
    ask(&app, move |engine| engine.say_on_page(&name, &key, value, to.as_deref())).await
}

/// Sets an update for a time; without one, takes that back.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn schedule_upgrade(
    app: AppHandle,
    name: String,
    to: String,
    at: Option<DateTime<Utc>>,
) -> Answer<ConfirmView> {
    let view = ask(&app, move |engine| {
        engine.schedule_upgrade(&name, &to, at)?;
        engine.fit_timer()?;
        engine.confirm_view(&name, Some(&to))
    })
    .await?;
    watch::tell(&app);
    Ok(view)
}

/// A person has read why an update that was set for a time was not begun.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn forget_missed(app: AppHandle, name: String) -> Answer<AppView> {
    ask(&app, move |engine| engine.forget_missed(&name)).await?;
    Ok(app.state::<App>().view())
}

/// What a person answers where the rehearsal took much longer than was said.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn answer(app: AppHandle, id: String, go_on: bool) -> Answer<UpgradeView> {
    ask(&app, move |engine| engine.answer(id_of(&id)?, go_on)).await
}

/// Where an update stands.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn upgrade(app: AppHandle, id: String) -> Answer<UpgradeView> {
    ask(&app, move |engine| engine.upgrade_view(id_of(&id)?)).await
}

/// New lines of its log.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn upgrade_log(app: AppHandle, id: String, after: String) -> Answer<Vec<LogLine>> {
    ask(&app, move |engine| engine.log_view(id_of(&id)?, after.parse().unwrap_or(0))).await
}

/// Stops it: before the change nothing has happened, after it the version before comes back.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn cancel(app: AppHandle, id: String) -> Answer<UpgradeView> {
    ask(&app, move |engine| {
        let id = id_of(&id)?;
        engine.cancel(id)?;
        engine.upgrade_view(id)
    })
    .await
}

/// Tries it again, under a new id.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn retry(app: AppHandle, id: String) -> Answer<UpgradeView> {
    ask(&app, move |engine| {
        let id = engine.retry(id_of(&id)?, &by())?;
        engine.upgrade_view(id)
    })
    .await
}

/// Looks whether what needed a person has been mended.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn settle(app: AppHandle, id: String) -> Answer<UpgradeView> {
    ask(&app, move |engine| {
        let id = id_of(&id)?;
        engine.settle(id)?;
        engine.upgrade_view(id)
    })
    .await
}

/// Goes back to the version before the last update.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn rollback(app: AppHandle, name: String, accept_loss: bool) -> Answer<UpgradeView> {
    ask(&app, move |engine| {
        let id = engine.rollback(&named(&name)?, accept_loss)?;
        engine.upgrade_view(id)
    })
    .await
}

/// What would be lost by going back to the version before.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn go_back_preview(app: AppHandle, name: String) -> Answer<GoBackView> {
    ask(&app, move |engine| engine.go_back_preview(&name)).await
}

/// Goes back to the version before, as a person confirmed who has read what was entered since; that is saved first.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn go_back(app: AppHandle, name: String) -> Answer<UpgradeView> {
    ask(&app, move |engine| {
        let id = engine.go_back(&named(&name)?, &Silent)?;
        engine.upgrade_view(id)
    })
    .await
}

/// A person says that they know how it ended.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn acknowledge(app: AppHandle, id: String) -> Answer<AppView> {
    ask(&app, move |engine| engine.acknowledge(id_of(&id)?)).await?;
    Ok(app.state::<App>().view())
}

/// The window has shown how it ended.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn seen(app: AppHandle, id: String) -> Answer<()> {
    ask(&app, move |engine| engine.saw("window", id_of(&id)?)).await
}

/// Saves the report where a person wants it; answers where, nothing where the dialog was closed.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn save_receipt(app: AppHandle, id: String) -> Answer<Option<String>> {
    let target = chosen(&app, |dialog, tell| dialog.set_file_name("receipt.html").save_file(tell)).await;
    let Some(target) = target else { return Ok(None) };
    ask(&app, move |engine| {
        engine.save_receipt(id_of(&id)?, &target)?;
        Ok(Some(target.display().to_string()))
    })
    .await
}
