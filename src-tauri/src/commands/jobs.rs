//! What is at work on backups in this program, told to the window as it goes, and stopped when somebody wants that.
//!
//! A backup goes on where the window is closed: this program ends, or goes to the tray by beginning anew, only when it is
//! done. What only a window could show is stopped then, and leaves nothing behind.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use liftlock_engine::Engine;
use liftlock_engine::clock::SystemClock;
use liftlock_engine::error::{Error, Result};
use liftlock_engine::pace::Pace;
use liftlock_engine::ports::{Clock, Reporter, Unit};
use liftlock_engine::view::ErrorView;
use liftlock_engine::view::window::{BackupJob, BackupView, JobAct};
use tauri::{AppHandle, Emitter, Manager};

use super::{Answer, named};
use crate::app::App;
use crate::notify;

/// Everything that is at work, with the wish to stop each.
#[derive(Default)]
pub(crate) struct Jobs {
    last: AtomicU64,
    at_work: Mutex<HashMap<String, Work>>,
    ended: Condvar,
}

struct Work {
    act: JobAct,
    stop: Arc<AtomicBool>,
}

impl Jobs {
    /// Stops one; one that has ended is not there any more.
    pub(super) fn stop(&self, id: &str) {
        if let Some(work) = self.at_work().get(id) {
            work.stop.store(true, Ordering::Relaxed);
        }
    }

    /// Stops all of them, or only those that nobody has anything of without a window.
    pub(crate) fn stop_all(&self, only_for_a_window: bool) {
        let is_for_a_window = |act: JobAct| matches!(act, JobAct::Inspect | JobAct::LookAt);
        for work in self.at_work().values().filter(|it| !only_for_a_window || is_for_a_window(it.act)) {
            work.stop.store(true, Ordering::Relaxed);
        }
    }

    /// Whether anything is at work.
    pub(crate) fn any(&self) -> bool {
        !self.at_work().is_empty()
    }

    /// Waits until nothing is at work any more, or for so long; says whether nothing is.
    pub(crate) fn wait(&self, within: Option<Duration>) -> bool {
        let at_work = self.at_work();
        match within {
            None => self.ended.wait_while(at_work, |it| !it.is_empty()).is_ok(),
            Some(within) => {
                let waited = self.ended.wait_timeout_while(at_work, within, |it| !it.is_empty());
                waited.is_ok_and(|it| !it.1.timed_out())
            }
        }
    }

    fn at_work(&self) -> MutexGuard<'_, HashMap<String, Work>> {
        self.at_work.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is to be done, as the window tells it.
pub(super) struct Task {
    act: JobAct,
    installation: String,
    about: Option<String>,
    message: String,
}

impl Task {
    pub(super) fn of(act: JobAct, installation: &str, message: &str) -> Self {
        Self { act, installation: installation.to_owned(), about: None, message: message.to_owned() }
    }

    /// What it is about.
    pub(super) fn about(self, what: &str) -> Self {
        Self { about: Some(what.to_owned()), ..self }
    }
}

/// Does `work` beside the window and tells how it goes.
pub(super) fn begin(
    app: &AppHandle,
    task: Task,
    work: impl FnOnce(&Engine, &dyn Reporter) -> Result<liftlock_engine::view::BackupView> + Send + 'static,
) -> Answer<BackupJob> {
    let engine = app.state::<App>().engine().map_err(|error| ErrorView::from(&error))?;
    let teller = Teller::begin(app, task);
    let job = teller.job();
    tauri::async_runtime::spawn_blocking(move || {
        let ended = work(&engine, &teller);
        teller.end(&engine, ended);
    });
    Ok(job)
}

/// The same where whoever asked waits for the answer: only how it goes is told, and that it is over.
pub(super) async fn told<T: Send + 'static>(
    app: &AppHandle,
    task: Task,
    work: impl FnOnce(&Engine, &dyn Reporter) -> Result<T> + Send + 'static,
) -> Answer<T> {
    let teller = Teller::begin(app, task);
    teller.tell_all();
    super::ask(app, move |engine| {
        let answer = work(engine, &teller);
        teller.tell(|job| job.ended = true);
        answer
    })
    .await
}

/// Tells the window how a job goes. It is at work for as long as this is there.
struct Teller {
    app: AppHandle,
    pace: Mutex<Pace>,
    job: Mutex<BackupJob>,
    stop: Arc<AtomicBool>,
}

impl Drop for Teller {
    fn drop(&mut self) {
        let jobs = self.app.state::<Jobs>();
        jobs.at_work().remove(&self.job().id);
        jobs.ended.notify_all();
    }
}

impl Teller {
    fn begin(app: &AppHandle, task: Task) -> Self {
        let jobs = app.state::<Jobs>();
        let id = jobs.last.fetch_add(1, Ordering::Relaxed).to_string();
        let stop = Arc::new(AtomicBool::new(false));
        jobs.at_work().insert(id.clone(), Work { act: task.act, stop: Arc::clone(&stop) });
        let job = BackupJob {
            id,
            act: task.act,
            installation: task.installation,
            about: task.about,
            progress: 0,
            message: task.message,
            rate: None,
            seconds_left: None,
            ended: false,
            done: None,
            error: None,
        };
        Self { app: app.clone(), pace: Mutex::new(Pace::begin(SystemClock.since_boot())), job: Mutex::new(job), stop }
    }

    fn job(&self) -> BackupJob {
        self.job.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn tell_all(&self) {
        // Without a window nobody has to know.
        let _ = self.app.emit("job", self.job());
    }

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
                let line: Option<BackupView> = line.and_then(|all| all.into_iter().find(|it| it.path == made.path));
                self.tell(|job| {
                    job.progress = 100;
                    job.ended = true;
                    job.done = line;
                });
            }
            Err(error) => {
                // Whoever stopped it knows.
                let said = (error.class != "cancelled").then(|| ErrorView::from(&error));
                self.tell(|job| {
                    job.ended = true;
                    job.error = said;
                });
                let job = self.job();
                if let Ok(name) = named(&job.installation) {
                    notify::job_failed(&self.app, job.act, &name, &error);
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
            return Err(Error::failed("cancelled", "It was stopped.").remedy("Nothing was left behind."));
        }
        Ok(())
    }
}
