//! What goes on beside the window for as long as this program runs: going on with what was interrupted, asking
//! applications how they are, looking for releases, and what is due at set times.

use std::thread;
use std::time::{Duration, Instant};

use liftlock_engine::Engine;
use liftlock_engine::engine::Look;
use liftlock_engine::error::{Error, Result};
use liftlock_engine::process::Silent;
use liftlock_engine::view::DueView;
use liftlock_engine::view::window::HealthView;
use tauri::{AppHandle, Manager};

use crate::app::App;
use crate::{notify, watch};

/// How often it is looked what is due.
const LOOK: Duration = Duration::from_secs(30);
/// How often every application is asked how it is, and whether a search for releases is due.
const HEALTH: Duration = Duration::from_secs(300);
/// How often it is looked whether an application may be updated by itself, which asks the system whether it is in use.
const ALONE: Duration = Duration::from_secs(5 * 60);
/// How often it is looked for backups that are due, as the timer of the system does.
const BACKUPS: Duration = Duration::from_secs(15 * 60);
/// How often the disk is looked at. That it is getting full is said once a day.
const DISK: Duration = Duration::from_secs(5 * 60);

/// Begins, and goes on until the program ends. A backup takes long and must not hold up the rest.
pub(crate) fn begin(app: &AppHandle) {
    let (quick, long) = (app.clone(), app.clone());
    watch::spawn("chores", move || {
        told(with(&quick, |engine| engine.resume(None).map(drop)));
        let mut health = Every::new(HEALTH);
        let mut disk = Every::new(DISK);
        let mut alone = Every::new(ALONE);
        loop {
            told(with(&quick, Engine::run_scheduled_upgrades));
            if alone.is_due() {
                told(with(&quick, |engine| engine.run_unattended().map(drop)));
                notify::by_itself(&quick);
            }
            if health.is_due() {
                ask_health(&quick);
                told(with(&quick, |engine| engine.check_releases(None, Look::WhereDue, &Silent).map(drop)));
            }
            if disk.is_due() {
                notify::disk(&quick);
            }
            thread::sleep(LOOK);
        }
    });
    watch::spawn("backups", move || {
        loop {
            notify::alarms(&long);
            match with(&long, |engine| engine.run_due_backups(&Silent)) {
                Ok(due) => due.iter().for_each(|it| tell_failed(&long, it)),
                Err(error) => told(Err(error)),
            }
            notify::alarms_are_told(&long);
            thread::sleep(BACKUPS);
        }
    });
}

/// Backs up every application now, one after the other.
pub(crate) fn back_up_all(app: &AppHandle) {
    let app = app.clone();
    watch::spawn("back-up", move || {
        let done = with(&app, |engine| {
            engine.installations()?.iter().try_for_each(|it| match engine.backup(&it.name, "", &Silent) {
                Err(error) if error.class != "locked" => {
                    notify::backup_failed(&app, &it.name, &error);
                    Ok(())
                }
                other => other.map(drop),
            })
        });
        if let Err(error) = done {
            notify::no_backup(&app, &error);
        }
        watch::tell(&app);
    });
}

/// Asks every application how it is, except those that are being worked on, and those that are set aside.
fn ask_health(app: &AppHandle) {
    for card in app.state::<App>().view().installations {
        let works = card.upgrade.as_ref().is_some_and(|it| !it.state.is_final());
        if works || card.set_aside_for.is_some() {
            continue;
        }
        let check = with(app, |engine| Ok((engine.check(&card.name.parse()?)?, engine.now())));
        match check {
            Ok((check, now)) => app.state::<App>().set_health(&card.name, HealthView::of(&check, now)),
            Err(error) => told(Err(error)),
        }
    }
    watch::tell(app);
}

fn tell_failed(app: &AppHandle, due: &DueView) {
    use liftlock_engine::view::DueOutcome::Failed;
    if let (Failed, Some(error)) = (due.outcome, &due.error) {
        notify::backup_failed(app, &due.installation, &Error::failed("backup_failed", error.message.clone()));
    }
}

fn with<T>(app: &AppHandle, verb: impl FnOnce(&Engine) -> Result<T>) -> Result<T> {
    app.state::<App>().engine().and_then(|engine| verb(&engine))
}

/// Being offline, or a state that cannot be opened, is shown in the window; here it is only noted.
fn told(done: Result<()>) {
    if let Err(error) = done {
        tracing::warn!(class = %error.class, "{}", error.message);
    }
}

/// Something that comes round.
struct Every {
    pause: Duration,
    last: Option<Instant>,
}

impl Every {
    fn new(pause: Duration) -> Self {
        Self { pause, last: None }
    }

    fn is_due(&mut self) -> bool {
        let is_due = self.last.is_none_or(|it| it.elapsed() >= self.pause);
        if is_due {
            self.last = Some(Instant::now());
        }
        is_due
    }
}
