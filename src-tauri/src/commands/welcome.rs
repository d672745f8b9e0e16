//! Welcome: which applications are here, and what has to be asked before one is looked after.
//!
//! The window knows what was found by a token; folders and files are chosen in dialogs of this program.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use liftlock_engine::engine::Found;
use liftlock_engine::error::Error;
use liftlock_engine::process::Silent;
use liftlock_engine::view::ErrorView;
use liftlock_engine::view::window::{Discovered, Discovery, InstallationCard};
use tauri::{AppHandle, Manager, State};
use tauri_plugin_autostart::ManagerExt;

use super::home::card;
use super::{Answer, ask, chosen};
use crate::app::App;
use crate::watch;

/// When a backup is made every night, where a person agrees to it.
const NIGHTLY: &str = "every night at 3";

/// What was found, by token.
#[derive(Default)]
pub(crate) struct Candidates(Mutex<HashMap<String, Found>>);

impl Candidates {
    fn keep(&self, found: Found) -> Discovered {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let token = all.len().to_string();
        let view = seen(&token, &found);
        all.insert(token, found);
        view
    }

    fn find(&self, token: &str) -> Answer<Found> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(token).cloned().ok_or_else(|| {
            ErrorView::from(&Error::usage("unknown_choice", "That was not found here.").remedy("Look again."))
        })
    }
}

/// Looks for applications.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn find_applications(app: AppHandle, candidates: State<'_, Candidates>) -> Answer<Discovery> {
    let search = ask(&app, |engine| engine.find_applications()).await?;
    let found = search.found.into_iter().map(|it| candidates.keep(it)).collect();
    Ok(Discovery { found, projects: search.projects, folders: search.folders })
}

/// Lets a person choose a folder; answers what was recognised in it, nothing where the dialog was closed.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn choose_folder(app: AppHandle, candidates: State<'_, Candidates>) -> Answer<Option<Discovered>> {
    let Some(folder) = chosen(&app, |dialog, tell| dialog.pick_folder(tell)).await else { return Ok(None) };
    let found = ask(&app, move |engine| engine.recognise(&folder)).await?;
    Ok(Some(candidates.keep(found)))
}

/// Lets a person choose the file that a question asks for; nothing where the dialog was closed.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn choose_file(
    app: AppHandle,
    candidates: State<'_, Candidates>,
    token: String,
    key: String,
) -> Answer<Option<String>> {
    let folder = candidates.find(&token)?.folder;
    tracing::debug!(key, "a file is chosen");
    let file = chosen(&app, |dialog, tell| dialog.set_directory(folder).pick_file(tell)).await;
    Ok(file.map(|it| it.display().to_string()))
}

/// Tries an answer; what was found comes back with the questions that are left.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn try_answer(
    app: AppHandle,
    candidates: State<'_, Candidates>,
    token: String,
    key: String,
    value: String,
) -> Answer<Discovered> {
    let found = candidates.find(&token)?;
    let answered = ask(&app, move |engine| engine.try_answer(&found, &key, &value)).await?;
    let view = seen(&token, &answered);
    candidates.0.lock().unwrap_or_else(PoisonError::into_inner).insert(token, answered);
    Ok(view)
}

/// Looks after what was found.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn add_installation(
    app: AppHandle,
    candidates: State<'_, Candidates>,
    token: String,
    title: String,
    autostart: bool,
    nightly_backup: bool,
) -> Answer<InstallationCard> {
    let found = candidates.find(&token)?;
    // Before its card is there: who sees that sees everything done that was agreed to.
    let is_new = autostart && start_with_session(&app);
    let added = ask(&app, move |engine| {
        let added = engine.add_found(&found, Some(&title))?;
        if nightly_backup {
            engine.schedule_backups(&added.name, NIGHTLY)?;
            engine.fit_timer()?;
        }
        Ok(added)
    })
    .await;
    if added.is_err() && is_new {
        let _ = app.autolaunch().disable();
        app.state::<App>().set_autostart(app.autolaunch().is_enabled().unwrap_or(false));
    }
    let added = added?;
    watch::tell(&app);
    card(&app, added.name.as_str())
}

/// Whether it did not do so before. Agreed to, not asked for: where the desktop does not allow it, Settings says so.
fn start_with_session(app: &AppHandle) -> bool {
    let launch = app.autolaunch();
    if launch.is_enabled().unwrap_or(false) {
        return false;
    }
    if let Err(cause) = launch.enable() {
        tracing::warn!("Liftlock does not start with the session: {cause}");
    }
    let is_on = launch.is_enabled().unwrap_or(false);
    app.state::<App>().set_autostart(is_on);
    is_on
}

/// Starts the sample shop and looks after it.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn start_sample(app: AppHandle) -> Answer<InstallationCard> {
    let added = ask(&app, |engine| {
        let added = engine.start_sample(&Silent)?;
        engine.check_releases(Some(&added.name), liftlock_engine::engine::Look::Now, &Silent)?;
        Ok(added)
    })
    .await?;
    watch::tell(&app);
    card(&app, added.name.as_str())
}

fn seen(token: &str, found: &Found) -> Discovered {
    Discovered { token: token.to_owned(), found: found.view(), questions: found.questions.clone() }
}
