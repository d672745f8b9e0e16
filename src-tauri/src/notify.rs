//! Notifications of the desktop. Never the only way to learn something: everything they say stands in the window too.

use liftlock_engine::error::Error;
use liftlock_engine::model::state::State;
use liftlock_engine::view::window::{AppView, UpgradeView};
use tauri::{AppHandle, Manager};
use tauri_plugin_notification::NotificationExt;

use crate::app::App;

/// The observer under whose name it is remembered which results were notified.
const OBSERVER: &str = "notification";

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
        State::Complete => Some((
            format!("{} {} is running", now.title, now.to),
            now.away_seconds
                .map_or_else(String::new, |it| format!("Away for {}.", liftlock_engine::receipt::duration(it))),
        )),
        State::RolledBack => Some((
            format!("{} {from} is running again", now.title),
            "The update did not work; your data is as it was.".to_owned(),
        )),
        State::NeedsAttention => Some((format!("{} needs you", now.title), "Open Liftlock for the steps.".to_owned())),
        _ => None,
    };
    if let Some((title, body)) = said {
        show(app, &title, &body);
    }
    if let Err(error) = engine.saw(OBSERVER, id) {
        tracing::warn!(class = %error.class, "{}", error.message);
    }
}

/// Says what is out: once a version and level, which the engine keeps account of.
pub(crate) fn offers(app: &AppHandle, view: &AppView) {
    let Ok(engine) = app.state::<App>().engine() else { return };
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
                );
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(class = %error.class, "{}", error.message),
        }
    }
}

/// Says that a backup failed.
pub(crate) fn backup_failed(app: &AppHandle, title: &str, error: &Error) {
    if error.class != "cancelled" {
        show(app, &format!("The backup of {title} failed"), &error.message);
    }
}

/// Says that the disk with the backups is getting full.
pub(crate) fn disk_is_full(app: &AppHandle, message: &str) {
    show(app, "The disk is getting full", message);
}

fn show(app: &AppHandle, title: &str, body: &str) {
    // A desktop without notifications is no fault: the window says the same.
    if let Err(cause) = app.notification().builder().title(title).body(body).show() {
        tracing::warn!("no notification: {cause}");
    }
}
