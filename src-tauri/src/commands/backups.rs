//! Backups and Restore.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use liftlock_engine::Engine;
use liftlock_engine::clock::SystemClock;
use liftlock_engine::error::{Error, Result};
use liftlock_engine::pace::Pace;
use liftlock_engine::ports::{Clock, Reporter, Unit};
use liftlock_engine::view::window::{BackupCareView, BackupJob, BackupView, CompareView, UpgradeView};
use liftlock_engine::view::{ErrorView, SettingView};
use tauri::{AppHandle, Emitter, Manager, State};
use tauri_plugin_opener::OpenerExt;

use super::{Answer, ask, by, chosen, named};
use crate::app::App;
use crate::notify;

/// Backups and proofs at work in this program, with the wish to stop each.
#[derive(Default)]
pub(crate) struct Jobs {
    last: AtomicU64,
    stops: Mutex<HashMap<String, Arc<AtomicBool>>>,
}

/// Every backup, newest first.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn backups(app: AppHandle, name: Option<String>) -> Answer<Vec<BackupView>> {
    ask(&app, move |engine| engine.backup_lines(name.as_deref().map(named).transpose()?.as_ref())).await
}

/// Begins a backup; how it goes is told as `job`.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn back_up(app: AppHandle, jobs: State<'_, Jobs>, name: String, note: String) -> Answer<BackupJob> {
    let wanted = name.clone();
    begin(
        &app,
        &jobs,
        name,
        "Making a backup and restoring it once, on the side, to prove it.",
        move |engine, teller| engine.backup(&named(&wanted)?, &note, teller),
    )
}

/// Restores a backup once more, on the side.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn prove_backup(app: AppHandle, jobs: State<'_, Jobs>, id: String) -> Answer<BackupJob> {
    let name = id.split('/').next().unwrap_or_default().to_owned();
    begin(&app, &jobs, name, "Restoring the backup on the side, to prove it.", move |engine, teller| {
        engine.verify_backup(&engine.backup_folder(&id)?, teller)
    })
}

/// Stops one of them; it leaves nothing behind.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn cancel_job(jobs: State<'_, Jobs>, id: String) -> Answer<()> {
    if let Some(stop) = jobs.stops.lock().unwrap_or_else(PoisonError::into_inner).get(&id) {
        stop.store(true, Ordering::Relaxed);
    }
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
        let name = id.split('/').next().unwrap_or_default();
        let upgrade = engine.restore(&named(name)?, &folder, &typed, &by())?;
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
        engine.backup_lines(None)
    })
    .await
}

/// Lets a person choose the folder that backups are copied to; answers the settings, nothing where the dialog was closed.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn choose_copy_folder(app: AppHandle) -> Answer<Option<Vec<SettingView>>> {
    let Some(folder) = chosen(&app, |dialog, tell| dialog.pick_folder(tell)).await else { return Ok(None) };
    ask(&app, move |engine| {
        engine.copy_backups_to(Some(&folder))?;
        engine.settings().map(Some)
    })
    .await
}

/// The same of the folder that new backups are kept in.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn choose_backup_folder(app: AppHandle) -> Answer<Option<Vec<SettingView>>> {
    let Some(folder) = chosen(&app, |dialog, tell| dialog.pick_folder(tell)).await else { return Ok(None) };
    ask(&app, move |engine| {
        engine.choose("backup_folder", Some(&folder.display().to_string()))?;
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

/// Does `work` beside the window and tells how it goes.
pub(super) fn begin(
    app: &AppHandle,
    jobs: &Jobs,
    installation: String,
    message: &str,
    work: impl FnOnce(&Engine, &dyn Reporter) -> Result<liftlock_engine::view::BackupView> + Send + 'static,
) -> Answer<BackupJob> {
    let engine = app.state::<App>().engine().map_err(|error| ErrorView::from(&error))?;
    let id = jobs.last.fetch_add(1, Ordering::Relaxed).to_string();
    let stop = Arc::new(AtomicBool::new(false));
    jobs.stops.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone(), Arc::clone(&stop));
    let job = BackupJob {
        id,
        installation,
        progress: 0,
        message: message.to_owned(),
        rate: None,
        seconds_left: None,
        done: None,
        error: None,
    };
    let pace = Mutex::new(Pace::begin(SystemClock.since_boot()));
    let teller = Teller { app: app.clone(), pace, job: Mutex::new(job.clone()), stop };
    tauri::async_runtime::spawn_blocking(move || {
        let ended = work(&engine, &teller);
        teller.end(&engine, ended);
    });
    Ok(job)
}

/// Tells the window how a job goes.
struct Teller {
    app: AppHandle,
    pace: Mutex<Pace>,
    job: Mutex<BackupJob>,
    stop: Arc<AtomicBool>,
}

impl Teller {
    fn tell(&self, change: impl FnOnce(&mut BackupJob)) {
        let mut job = self.job.lock().unwrap_or_else(PoisonError::into_inner);
        let before = job.clone();
        change(&mut job);
        if *job != before {
            // Without a window nobody has to know.
            let _ = self.app.emit("job", &*job);
        }
    }

    fn end(&self, engine: &Engine, ended: Result<liftlock_engine::view::BackupView>) {
        match ended {
            Ok(made) => {
                let line = engine.backup_lines(Some(&made.installation)).ok();
                let line = line.and_then(|all| all.into_iter().find(|it| it.path == made.path));
                self.tell(|job| {
                    job.progress = 100;
                    job.done = line;
                });
            }
            Err(error) => {
                self.tell(|job| job.error = Some(ErrorView::from(&error)));
                let job = self.job.lock().unwrap_or_else(PoisonError::into_inner).clone();
                if let Ok(name) = named(&job.installation) {
                    notify::backup_failed(&self.app, &name, &error);
                }
            }
        }
        crate::watch::tell(&self.app);
    }
}

impl Reporter for Teller {
    fn moved(&self, done: u64, total: Option<u64>, unit: Unit) {
        let mut pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
        let now = SystemClock.since_boot();
        if !pace.moved(now, done, total, unit) {
            return;
        }
        self.tell(|job| {
            job.progress = pace.percent();
            job.rate = pace.rate();
            job.seconds_left = pace.seconds_left(now).map(f64::round);
        });
    }

    fn part(&self, from: f64, until: f64) {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner).part(from, until);
    }

    fn say(&self, line: &str) {
        tracing::info!("{line}");
    }

    fn check(&self) -> Result<()> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(Error::failed("cancelled", "The backup was stopped.").remedy("Nothing was left behind."));
        }
        Ok(())
    }
}
