//! Home: what an application is asked for where it is shown.

use liftlock_engine::engine::{Choice, Look};
use liftlock_engine::error::Error;
use liftlock_engine::process::Silent;
use liftlock_engine::view::ErrorView;
use liftlock_engine::view::window::{AppView, HealthView, InstallationCard};
use tauri::{AppHandle, Manager, Window};
use tauri_plugin_autostart::ManagerExt;
use tauri_plugin_opener::OpenerExt;

use super::{Answer, ask, named};
use crate::app::App;
use crate::{watch, window};

/// Everything that Home needs, now.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn app_view(app: AppHandle) -> Answer<AppView> {
    window::page_is_there();
    Ok(app.state::<App>().view())
}

/// Chooses something about the window.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn set_preference(app: AppHandle, key: String, value: String) -> Answer<AppView> {
    if key == "autostart" {
        let launch = app.autolaunch();
        let done = if value == "true" { launch.enable() } else { launch.disable() };
        done.map_err(|cause| {
            ErrorView::from(
                &Error::failed("autostart", "Starting with the session could not be changed.")
                    .remedy("Look whether your desktop allows programs to start by themselves.")
                    .because(&cause),
            )
        })?;
        app.state::<App>().set_autostart(app.autolaunch().is_enabled().unwrap_or(false));
    } else {
        ask(&app, move |engine| engine.choose(&key, Some(&value))).await?;
    }
    watch::tell(&app);
    Ok(app.state::<App>().view())
}

/// Stops looking after an application. Its files, data and backups stay.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn remove_installation(app: AppHandle, name: String) -> Answer<()> {
    ask(&app, move |engine| engine.remove(&named(&name)?)).await
}

/// Opens an application where people use it.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn open_application(app: AppHandle, name: String) -> Answer<()> {
    let card = card(&app, &name)?;
    open(&app, card.url.as_deref().unwrap_or_default())
}

/// Opens a link of release notes outside.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn open_link(app: AppHandle, url: String) -> Answer<()> {
    open(&app, &url)
}

/// Asks every check of an application now.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn check_health(app: AppHandle, name: String) -> Answer<InstallationCard> {
    let wanted = name.clone();
    let check = ask(&app, move |engine| Ok((engine.check(&named(&wanted)?)?, engine.now()))).await?;
    app.state::<App>().set_health(&name, HealthView::of(&check.0, check.1));
    watch::tell(&app);
    card(&app, &name)
}

/// Looks for releases now.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn check_releases(app: AppHandle, name: Option<String>) -> Answer<AppView> {
    ask(&app, move |engine| {
        let name = name.as_deref().map(named).transpose()?;
        engine.check_releases(name.as_ref(), Look::Now, &Silent)
    })
    .await?;
    Ok(app.state::<App>().view())
}

/// Chooses what to hear about updates of an application.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn quiet(app: AppHandle, name: String, kind: String) -> Answer<AppView> {
    ask(&app, move |engine| {
        let choice = match kind.as_str() {
            "dismiss" => Choice::Hide,
            "tomorrow" => Choice::Remind(1),
            "week" => Choice::Remind(7),
            "skip" => Choice::Skip(None),
            "pause" => Choice::Pause(30),
            "resume" => Choice::HearAll,
            other => {
                return Err(Error::usage("unknown_choice", format!("“{}” is no choice.", other.escape_debug()))
                    .remedy("Choose one of those that are shown."));
            }
        };
        engine.choose_notices(&named(&name)?, choice)
    })
    .await?;
    Ok(app.state::<App>().view())
}

/// The question of the day was shown; it is not due again today.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn daily_question_asked(app: AppHandle, name: String) -> Answer<AppView> {
    ask(&app, move |engine| engine.choose_notices(&named(&name)?, Choice::Asked)).await?;
    Ok(app.state::<App>().view())
}

/// What a person answered to the question before closing.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn answer_close(app: AppHandle, window: Window, how: String) -> Answer<()> {
    let explained = ask(&app, |engine| engine.first_close_is_explained()).await;
    if let Err(error) = explained {
        // It is asked once more then.
        tracing::warn!(class = %error.class, "{}", error.message);
    }
    match how.as_str() {
        "close" => drop(window.destroy()),
        "quit" => app.exit(0),
        _ => {}
    }
    window::closed_as_answered(&app);
    Ok(())
}

pub(super) fn card(app: &AppHandle, name: &str) -> Answer<InstallationCard> {
    app.state::<App>().view().installations.into_iter().find(|it| it.name == name).ok_or_else(|| {
        ErrorView::from(
            &Error::usage("unknown_installation", "There is no application of that name.").remedy("Go back to Home."),
        )
    })
}

/// Only the web: a link in release notes must not start anything else.
fn open(app: &AppHandle, url: &str) -> Answer<()> {
    let refused = |why: &str| {
        ErrorView::from(&Error::refused("link", format!("This link is not opened: {why}.")).remedy("Copy it instead."))
    };
    if !(url.starts_with("https://") || url.starts_with("http://127.0.0.1:") || url.starts_with("http://localhost:")) {
        return Err(refused("it does not lead to a web page"));
    }
    app.opener().open_url(url, None::<&str>).map_err(|cause| refused(&cause.to_string()))
}
