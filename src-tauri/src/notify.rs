//! Notifications of the desktop. Never the only way to learn something: everything they say stands in the window too.
//!
//! Each leads to a page of the window, by a click on it and by a button where the desktop shows buttons. None begins
//! anything: an update is begun on its page, by whoever has read it.

use liftlock_engine::error::Error;
use liftlock_engine::model::finding::Finding;
use liftlock_engine::model::ids::InstallationName;
use liftlock_engine::model::state::State;
use liftlock_engine::view::window::{AppView, JobAct, UpgradeKind, UpgradeView};
use tauri::{AppHandle, Manager};
use tauri_plugin_notification::{Action, ActionType, NotificationExt};

use crate::app::App;
use crate::{desk, window};

/// The observer under whose name it is remembered which results were notified.
const OBSERVER: &str = "notification";
/// Under which name the page that a notification leads to goes along with it.
const ROUTE: &str = "route";

/// The page of backups.
const BACKUPS: &str = "/backups";

/// What the button of a notification is called.
#[derive(Debug, Clone, Copy)]
enum Button {
    Update,
    Look,
    Reason,
    Steps,
    Backups,
}

impl Button {
    const ALL: [Self; 5] = [Self::Update, Self::Look, Self::Reason, Self::Steps, Self::Backups];

    /// Also the name of the kind of notification that has it.
    fn words(self) -> &'static str {
        match self {
            Self::Update => "Update…",
            Self::Look => "Show it",
            Self::Reason => "See what went wrong",
            Self::Steps => "Show the steps",
            Self::Backups => "Show the backups",
        }
    }
}

/// Makes notifications lead to their pages from now on, where the desktop lets them.
pub(crate) fn begin(app: &AppHandle) {
    // One without buttons may show a box in their place that must be answered.
    if !desk::notifications_have_buttons() {
        return;
    }
    let kind = |it: Button| {
        let button = Action::builder("open", it.words()).build();
        ActionType::builder(it.words()).actions(vec![button]).build()
    };
    let handle = app.clone();
    let begun = app.notification().register_action_types(Button::ALL.map(kind).to_vec()).and_then(|()| {
        app.notification().on_action(move |done| {
            let route = done.notification().and_then(|it| it.extra().get(ROUTE)?.as_str().map(str::to_owned));
            window::show(&handle, &route.unwrap_or_else(|| "/".to_owned()));
        })
    });
    if let Err(cause) = begun {
        tracing::warn!("notifications lead nowhere: {cause}");
    }
}

/// Says how an update ended, once, whoever watched it.
pub(crate) fn ended(app: &AppHandle, before: Option<&UpgradeView>, now: &UpgradeView) {
    if !now.state.is_final() || before.is_some_and(|it| it.state == now.state && it.upgrade_id == now.upgrade_id) {
        return;
    }
    let Ok(engine) = app.state::<App>().engine() else { return };
    let (Ok(name), Ok(id)) = (now.installation.parse(), now.upgrade_id.parse()) else { return };
    // A result that was told is not told again after a restart of this program.
    if !engine.unseen(OBSERVER, &name).is_ok_and(|unseen| unseen == Some(id)) {
        return;
    }
    let from = now.from.as_deref().unwrap_or_default();
    let said = match now.state {
        // Whoever asked for a rehearsal waits for it in the window; nothing new runs.
        State::Complete if now.kind == UpgradeKind::Rehearsal => None,
        State::Complete => Some((
            Button::Look,
            format!("{} {} is running", now.title, now.to),
            now.away_seconds
                .map_or_else(String::new, |it| format!("Away for {}.", liftlock_engine::receipt::duration(it))),
        )),
        State::RolledBack => Some((
            Button::Reason,
            format!("{} {from} is running again", now.title),
            "The update did not work; your data is as it was.".to_owned(),
        )),
        State::NeedsAttention => {
            Some((Button::Steps, format!("{} needs you", now.title), "Open Liftlock for the steps.".to_owned()))
        }
        _ => None,
    };
    if let Some((button, title, body)) = said {
        show(app, &title, &body, button, &format!("/app/{name}/upgrade/{id}"));
    }
    if let Err(error) = engine.saw(OBSERVER, id) {
        tracing::warn!(class = %error.class, "{}", error.message);
    }
}

/// Says what is out: once a version and level, which the engine keeps account of.
pub(crate) fn offers(app: &AppHandle, view: &AppView) {
    let Ok(engine) = app.state::<App>().engine() else { return };
    // What is not told stays untold: it is told once a person wants to hear of it again.
    if !engine.notifies(true) {
        return;
    }
    let busy = view.installations.iter().any(|it| it.upgrade.as_ref().is_some_and(|it| !it.state.is_final()));
    for card in view.installations.iter().filter(|it| !busy && it.update.as_ref().is_some_and(|it| it.quiet.is_none()))
    {
        let Ok(name) = card.name.parse() else { continue };
        match engine.announce(&name) {
            Ok(Some(offer)) => {
                show(
                    app,
                    &format!("{} {} is out", card.title, offer.to),
                    offer.headline.as_deref().unwrap_or_default(),
                    Button::Update,
                    &format!("/app/{name}/update"),
                );
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(class = %error.class, "{}", error.message),
        }
    }
}

/// Says what will be updated by itself, once for each, half a day before; its end is told as that of any other.
pub(crate) fn by_itself(app: &AppHandle) {
    let Ok(engine) = app.state::<App>().engine() else { return };
    let view = app.state::<App>().view();
    for card in view.installations.iter().filter(|it| it.by_itself.is_some()) {
        let Ok(name) = card.name.parse() else { continue };
        match engine.announce_unattended(&name) {
            Ok(Some(planned)) => {
                let at = planned.at.with_timezone(&chrono::Local).format("%A, %H:%M");
                show(
                    app,
                    &format!("{} will be updated to {} by itself", card.title, planned.to),
                    &format!("{at} at the earliest. Your data will be backed up and tested first."),
                    Button::Look,
                    &format!("/app/{name}"),
                );
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(class = %error.class, "{}", error.message),
        }
    }
}

/// Says that a backup of an application failed.
pub(crate) fn backup_failed(app: &AppHandle, name: &InstallationName, error: &Error) {
    let title = app.state::<App>().engine().map_or_else(|_| name.to_string(), |engine| engine.title_of(name));
    if error.class != "cancelled" {
        show(app, &format!("The backup of {title} failed"), &error.message, Button::Backups, BACKUPS);
    }
}

/// Says what is wrong with backups since this was asked last, whoever found it: the timer of the system works without us.
pub(crate) fn alarms(app: &AppHandle) {
    for (name, finding) in new_alarms(app) {
        let title = app.state::<App>().engine().map_or_else(|_| name.to_string(), |engine| engine.title_of(&name));
        show(app, &format!("The backup of {title} failed"), &finding.message, Button::Backups, BACKUPS);
    }
}

/// What is wrong by now has been said.
pub(crate) fn alarms_are_told(app: &AppHandle) {
    drop(new_alarms(app));
}

fn new_alarms(app: &AppHandle) -> Vec<(InstallationName, Finding)> {
    let found = app.state::<App>().engine().and_then(|engine| {
        let mut all = Vec::new();
        for it in engine.installations()? {
            all.extend(engine.announce_alarms(&it.name)?.into_iter().map(|finding| (it.name.clone(), finding)));
        }
        Ok(all)
    });
    found.unwrap_or_else(|error| {
        tracing::warn!(class = %error.class, "{}", error.message);
        Vec::new()
    })
}

/// Says that what was begun on backups failed, where whoever began it may have gone.
pub(crate) fn job_failed(app: &AppHandle, act: JobAct, name: &InstallationName, error: &Error) {
    match act {
        JobAct::BackUp | JobAct::Prove | JobAct::Adopt => backup_failed(app, name, error),
        JobAct::Copy => copy_failed(app, name, error),
        // The window shows it, and stops it where there is none.
        JobAct::Inspect | JobAct::LookAt => {}
    }
    alarms_are_told(app);
}

/// Says that a copy of a backup failed.
pub(crate) fn copy_failed(app: &AppHandle, name: &InstallationName, error: &Error) {
    let title = app.state::<App>().engine().map_or_else(|_| name.to_string(), |engine| engine.title_of(name));
    if error.class != "cancelled" {
        show(app, &format!("The backup of {title} was not copied"), &error.message, Button::Backups, BACKUPS);
    }
}

/// Says that no application could be backed up.
pub(crate) fn no_backup(app: &AppHandle, error: &Error) {
    show(app, "The backup of your applications failed", &error.message, Button::Backups, BACKUPS);
}

/// Says that the disk with the backups is getting full: at most once a day, which the engine keeps account of.
pub(crate) fn disk(app: &AppHandle) {
    match app.state::<App>().engine().and_then(|engine| engine.announce_disk()) {
        Ok(Some(disk)) => show(app, "The disk is getting full", &disk.sentence(), Button::Backups, BACKUPS),
        Ok(None) => {}
        Err(error) => tracing::warn!(class = %error.class, "{}", error.message),
    }
    tracing::info!("the disk was looked at");
}

fn show(app: &AppHandle, title: &str, body: &str, button: Button, route: &str) {
    if app.state::<App>().engine().is_ok_and(|engine| !engine.notifies(false)) {
        return;
    }
    let note = app.notification().builder().title(title).body(body);
    // A desktop without notifications is no fault: the window says the same.
    if let Err(cause) = note.action_type_id(button.words()).extra(ROUTE, route).show() {
        tracing::warn!("no notification: {cause}");
    }
}
