//! The tray: four states told apart by shape, and a menu. Everything in it can be reached in the window too.

use liftlock_engine::engine::{self, Choice};
use liftlock_engine::model::state::State;
use liftlock_engine::process::Silent;
use liftlock_engine::view::window::AppView;
use tauri::image::Image;
use tauri::menu::{Menu, MenuEvent, MenuItem, PredefinedMenuItem};
use tauri::tray::{MouseButton, TrayIcon, TrayIconBuilder, TrayIconEvent};
use tauri::{AppHandle, Manager, Wry};

use crate::app::App;
use crate::{chores, watch, window};

/// For how long the tray pauses notices.
const PAUSE_DAYS: i64 = 7;

/// What the tray shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    Fine,
    Update,
    Working,
    NeedsYou,
}

/// The tray and the line of its menu that says how things stand.
struct Tray {
    icon: TrayIcon,
    line: MenuItem<Wry>,
}

/// Raises the tray; false where the desktop has none.
pub(crate) fn raise(app: &AppHandle) -> bool {
    match build(app) {
        Ok(tray) => {
            app.manage(tray);
            has_host()
        }
        Err(cause) => {
            tracing::warn!("no tray: {cause}");
            false
        }
    }
}

fn build(app: &AppHandle) -> tauri::Result<Tray> {
    let item = |id: &str, text: &str| MenuItem::with_id(app, id, text, true, None::<&str>);
    let line = MenuItem::with_id(app, "line", "Liftlock: all is well", false, None::<&str>)?;
    let (open, check) = (item("open", "Open Liftlock")?, item("check", "Check now")?);
    let back_up = item("back_up", "Back up now")?;
    let (pause, quit) = (item("pause", "Pause notices")?, item("quit", "Quit")?);
    let rule = PredefinedMenuItem::separator(app)?;
    let end = PredefinedMenuItem::separator(app)?;
    let menu = Menu::with_items(app, &[&line, &rule, &open, &check, &back_up, &pause, &end, &quit])?;
    let icon = TrayIconBuilder::with_id("liftlock")
        .icon(image(Look::Fine)?)
        .icon_as_template(cfg!(target_os = "macos"))
        .tooltip("Liftlock: all is well")
        .menu(&menu)
        .on_menu_event(on_menu)
        .on_tray_icon_event(|tray, event| {
            if let TrayIconEvent::Click { button: MouseButton::Left, .. } = event {
                window::show(tray.app_handle(), "/");
            }
        })
        .build(app)?;
    Ok(Tray { icon, line })
}

/// Linux draws the tray into whatever hosts one; without a host the icon is nowhere.
#[cfg(target_os = "linux")]
fn has_host() -> bool {
    let asked = zbus::blocking::Connection::session().and_then(|bus| {
        let watcher = "org.kde.StatusNotifierWatcher";
        let proxy = zbus::blocking::Proxy::new(&bus, watcher, "/StatusNotifierWatcher", watcher)?;
        proxy.get_property::<bool>("IsStatusNotifierHostRegistered")
    });
    asked.unwrap_or(false)
}

#[cfg(not(target_os = "linux"))]
fn has_host() -> bool {
    true
}

/// Shows how things stand.
pub(crate) fn show(app: &AppHandle, view: &AppView) {
    let Some(tray) = app.try_state::<Tray>() else { return };
    let (look, line) = how(view);
    let shown = image(look)
        .and_then(|it| tray.icon.set_icon(Some(it)))
        .and_then(|()| tray.icon.set_tooltip(Some(&line)))
        .and_then(|()| tray.line.set_text(&line));
    if let Err(cause) = shown {
        tracing::warn!("the tray could not be drawn: {cause}");
    }
}

/// The loudest thing that any application has to say.
fn how(view: &AppView) -> (Look, String) {
    let cards = &view.installations;
    let needy = cards.iter().find(|it| it.upgrade.as_ref().is_some_and(|it| it.state == State::NeedsAttention));
    if let Some(card) = needy {
        return (Look::NeedsYou, format!("Liftlock: {} needs you", card.title));
    }
    let working = cards.iter().find_map(|it| Some((it, it.upgrade.as_ref().filter(|it| !it.state.is_final())?)));
    if let Some((card, upgrade)) = working {
        return (Look::Working, format!("Liftlock: updating {}, {} %", card.title, upgrade.progress));
    }
    let offered = cards.iter().find_map(|it| Some((it, it.update.as_ref().filter(|it| it.quiet.is_none())?)));
    if let Some((card, offer)) = offered {
        return (Look::Update, format!("Liftlock: {} {} is out", card.title, offer.to));
    }
    (Look::Fine, "Liftlock: all is well".to_owned())
}

fn image(look: Look) -> tauri::Result<Image<'static>> {
    macro_rules! drawn {
        ($state:literal) => {
            if cfg!(target_os = "macos") {
                include_bytes!(concat!("../../icons/tray/", $state, "-template.png")).as_slice()
            } else {
                // Panels are dark as a rule; a keyline keeps the glyph readable on light ones.
                include_bytes!(concat!("../../icons/tray/", $state, "-dark.png")).as_slice()
            }
        };
    }
    Image::from_bytes(match look {
        Look::Fine => drawn!("fine"),
        Look::Update => drawn!("update"),
        Look::Working => drawn!("working"),
        Look::NeedsYou => drawn!("needs-you"),
    })
}

fn on_menu(app: &AppHandle, event: MenuEvent) {
    match event.id().as_ref() {
        "open" => window::show(app, "/"),
        "quit" => window::quit(app),
        "back_up" => chores::back_up_all(app),
        "check" | "pause" => {
            let (app, act) = (app.clone(), event.id().as_ref().to_owned());
            tauri::async_runtime::spawn_blocking(move || {
                let Ok(engine) = app.state::<App>().engine() else { return };
                let done = if act == "check" {
                    engine.check_releases(None, engine::Look::Now, &Silent).map(drop)
                } else {
                    engine.installations().and_then(|all| {
                        all.iter()
                            .try_for_each(|it| engine.choose_notices(&it.name, Choice::Pause(PAUSE_DAYS)).map(drop))
                    })
                };
                if let Err(error) = done {
                    tracing::warn!(class = %error.class, "{}", error.message);
                }
                watch::tell(&app);
            });
        }
        _ => {}
    }
}
