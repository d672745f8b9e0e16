//! Mirrors the state to the window and the tray: looks whether anything has changed, and tells all of it.

use std::collections::HashMap;
use std::thread;
use std::time::{Duration, Instant};

use liftlock_engine::engine::Changes;
use liftlock_engine::view::window::{AppView, InstallationCard, LeavingView, UpgradeView};
use tauri::{AppHandle, Emitter, Manager};

use crate::app::App;
use crate::{notify, tray, window};

/// How often it is looked whether the state has changed: a figure in shared memory, nothing is read for it.
const LOOK: Duration = Duration::from_millis(200);
/// The same where there is no window that could show it.
const LOOK_FROM_TRAY: Duration = Duration::from_secs(1);
/// Time passes too: seconds away, ages, a worker that died without a word.
const WHILE_WORKING: Duration = Duration::from_secs(1);
const AT_REST: Duration = Duration::from_secs(60);

/// Begins to watch, and goes on until the program ends.
pub(crate) fn begin(app: &AppHandle) {
    let watched = app.clone();
    spawn("watch", move || Watcher::new(watched).run());
}

/// Tells the window and the tray how everything stands now.
pub(crate) fn tell(app: &AppHandle) {
    let view = app.state::<App>().view();
    tray::show(app, &view);
    // Nobody listens where there is no window.
    let _ = app.emit("app", view);
}

struct Watcher {
    app: AppHandle,
    changes: Option<Changes>,
    /// The last that was told of each upgrade.
    told: HashMap<String, UpgradeView>,
    /// The same of versions that are left.
    told_leaving: HashMap<String, LeavingView>,
}

impl Watcher {
    fn new(app: AppHandle) -> Self {
        Self { app, changes: None, told: HashMap::new(), told_leaving: HashMap::new() }
    }

    fn run(&mut self) {
        let mut told_at = Instant::now();
        let mut is_working = self.look();
        loop {
            thread::sleep(if window::is_open(&self.app) { LOOK } else { LOOK_FROM_TRAY });
            let pause = if is_working { WHILE_WORKING } else { AT_REST };
            if self.has_changed() || told_at.elapsed() >= pause {
                told_at = Instant::now();
                is_working = self.look();
            }
        }
    }

    /// A state that cannot be opened is looked at again and again: that is how its mending is seen.
    fn has_changed(&mut self) -> bool {
        if self.changes.is_none() {
            self.changes = self.app.state::<App>().engine().and_then(|engine| engine.changes()).ok();
            return self.changes.is_some();
        }
        let changed = self.changes.as_mut().is_some_and(|it| it.any().unwrap_or(true));
        if changed && self.changes.as_mut().is_some_and(|it| it.any().is_err()) {
            self.changes = None;
        }
        changed
    }

    /// Tells what is new; answers whether anything is at work.
    fn look(&mut self) -> bool {
        let view = self.app.state::<App>().view();
        tray::show(&self.app, &view);
        // First: only with it does the window know that a result is news.
        let _ = self.app.emit("app", &view);
        for card in &view.installations {
            let Some(upgrade) = &card.upgrade else { continue };
            if self.told.get(&card.name) != Some(upgrade) {
                let _ = self.app.emit("upgrade", upgrade);
                notify::ended(&self.app, self.told.get(&card.name), upgrade);
                self.told.insert(card.name.clone(), upgrade.clone());
            }
        }
        notify::offers(&self.app, &view);
        self.look_at_leaving();
        works(&view)
    }

    fn look_at_leaving(&mut self) {
        let Ok(engine) = self.app.state::<App>().engine() else { return };
        for view in engine.leaving_under_way().unwrap_or_default() {
            if self.told_leaving.get(&view.installation) != Some(&view) {
                let _ = self.app.emit("leaving", &view);
                self.told_leaving.insert(view.installation.clone(), view);
            }
        }
    }
}

fn works(view: &AppView) -> bool {
    let upgrades = |it: &InstallationCard| it.upgrade.as_ref().is_some_and(|it| !it.state.is_final());
    // One that died is seen by looking only: nothing is written down then.
    view.installations.iter().any(|it| upgrades(it) || it.leaving.as_ref().is_some_and(|it| it.works))
}

pub(crate) fn spawn(name: &str, work: impl FnOnce() + Send + 'static) {
    if let Err(cause) = thread::Builder::new().name(name.to_owned()).spawn(work) {
        tracing::error!("{name} could not begin: {cause}");
    }
}
