//! Leaving an old version, and what becomes of it afterwards.

use liftlock_engine::engine::LeavingWord;
use liftlock_engine::error::Error;
use liftlock_engine::process::Silent;
use liftlock_engine::view::window::{
    AppView, EntityPreview, LeavingAct, LeavingChoice, LeavingStep, LeavingView, MappedChange, MappingTable,
};
use liftlock_engine::view::{Duplicates, ErrorView, PairAnswer, SetAsideView};
use tauri::{AppHandle, Manager};
use tauri_plugin_opener::OpenerExt;

use super::{Answer, ask, named};
use crate::app::App;
use crate::watch;

/// Where it stands.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn leaving(app: AppHandle, name: String, to: String) -> Answer<LeavingView> {
    ask(&app, move |engine| engine.leaving(&name, &to)).await
}

/// The first rows of a kind of thing.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn leaving_preview(app: AppHandle, name: String, entity: String) -> Answer<EntityPreview> {
    ask(&app, move |engine| engine.leaving_preview(&name, &entity)).await
}

/// Takes down what was chosen, and the page that a person goes to.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn leaving_choose(
    app: AppHandle,
    name: String,
    to: String,
    step: LeavingStep,
    choice: LeavingChoice,
) -> Answer<LeavingView> {
    ask(&app, move |engine| engine.leaving_choose(&name, &to, step, &choice)).await
}

/// Begins an act; how it goes is told as `leaving`.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn leaving_begin(
    app: AppHandle,
    name: String,
    to: String,
    act: LeavingAct,
    typed: Option<String>,
    duplicates: Option<Duplicates>,
    answers: Vec<PairAnswer>,
) -> Answer<LeavingView> {
    ask(&app, move |engine| engine.leaving_begin(&name, &to, act, &LeavingWord { typed, duplicates, answers })).await
}

/// What would come into which column.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn leaving_mapping(app: AppHandle, name: String, to: String) -> Answer<MappingTable> {
    ask(&app, move |engine| engine.leaving_mapping(&name, &to)).await
}

/// Changes that, or forgets every change.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn leaving_map(
    app: AppHandle,
    name: String,
    to: String,
    changes: Vec<MappedChange>,
    reset: bool,
) -> Answer<MappingTable> {
    ask(&app, move |engine| engine.leaving_map(&name, &to, &changes, reset)).await
}

/// Forgets where it stood; everything else stays.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn leaving_forget(app: AppHandle, name: String, to: String) -> Answer<AppView> {
    ask(&app, move |engine| engine.leaving_forget(&name, &to)).await?;
    Ok(app.state::<App>().view())
}

/// Shows the files of the export, or what did not come in.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn leaving_open(app: AppHandle, name: String, to: String, what: String) -> Answer<()> {
    let folder = ask(&app, move |engine| engine.leaving_folder(&name, &to, what == "rest")).await?;
    app.opener().open_path(folder.display().to_string(), None::<&str>).map_err(|cause| {
        ErrorView::from(
            &Error::failed("file_manager", format!("{} could not be shown.", folder.display()))
                .remedy("Open it in your file manager.")
                .because(&cause),
        )
    })
}

/// An old installation that was set aside, with its size and since when.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn set_aside(app: AppHandle, name: String) -> Answer<SetAsideView> {
    ask(&app, move |engine| engine.set_aside_of(&named(&name)?)).await
}

/// Starts it for a look, in which nothing can be written.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn look_at_set_aside(app: AppHandle, name: String) -> Answer<SetAsideView> {
    ask(&app, move |engine| engine.look_at_set_aside(&named(&name)?, &Silent)).await
}

/// Stops it again.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn stop_set_aside(app: AppHandle, name: String) -> Answer<SetAsideView> {
    ask(&app, move |engine| engine.stop_set_aside(&named(&name)?, &Silent)).await
}

/// Removes it for good, as a person confirmed who has read its size and age.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn remove_set_aside(app: AppHandle, name: String, typed: String) -> Answer<SetAsideView> {
    let view = ask(&app, move |engine| engine.remove_set_aside(&named(&name)?, Some(&typed), &Silent)).await?;
    watch::tell(&app);
    Ok(view)
}
