//! The one window. In the tray there is none: a web view costs more memory than everything else together.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use liftlock_engine::view::window::{AppView, InstallationCard};
use tauri::{AppHandle, Emitter, Manager, Theme, WebviewUrl, WebviewWindowBuilder};
use tauri_plugin_window_state::{AppHandleExt, StateFlags};

use crate::IN_TRAY;
use crate::app::App;
use crate::commands::Jobs;

const LABEL: &str = "main";
/// What is at work on backups stops between two pieces of work, and drops a temporary server.
const STOPPED_WITHIN: Duration = Duration::from_secs(15);
/// The page colours, so that nothing flashes before the first paint.
const PAGE_LIGHT: (u8, u8, u8, u8) = (0xEF, 0xF3, 0xF4, 0xFF);
const PAGE_DARK: (u8, u8, u8, u8) = (0x0D, 0x17, 0x1C, 0xFF);

/// A person has answered the question before closing; the next close is not asked about.
static ANSWERED: AtomicBool = AtomicBool::new(false);
/// A question before closing waits for its answer. Whoever closes once more has given it, also where the page has not
/// loaded or is broken and shows no question.
static ASKED: AtomicBool = AtomicBool::new(false);
/// Whether there is a page that can ask anything.
static PAGE_IS_THERE: AtomicBool = AtomicBool::new(false);

/// Pages of text are drawn as quickly without it, in a fifth less memory; and a window that stays empty, as drivers for it
/// and WebKitGTK make of each other now and then, would be the worst that can happen to it. Said before WebKitGTK
/// begins: its setting for the same, changed later, leaves a window of which no picture can be taken. Whoever has said
/// something else is heard.
#[cfg(target_os = "linux")]
pub(crate) fn draw_without_the_graphics_card() {
    if let Err(cause) = gio::glib::setenv("WEBKIT_DISABLE_COMPOSITING_MODE", "1", false) {
        tracing::warn!("the window draws with the graphics card: {cause}");
    }
}

/// Shows the window, making it where there is none, at a route where one is named.
pub(crate) fn show(app: &AppHandle, route: &str) {
    if let Some(window) = app.get_webview_window(LABEL) {
        let shown = window.show().and_then(|()| window.unminimize()).and_then(|()| window.set_focus());
        if let Err(cause) = shown {
            tracing::warn!("the window could not be raised: {cause}");
        }
        if route != "/" {
            let _ = app.emit("navigate", serde_json::json!({ "route": route }));
        }
        return;
    }
    PAGE_IS_THERE.store(false, Ordering::Relaxed);
    ASKED.store(false, Ordering::Relaxed);
    let view = app.state::<App>().view();
    let under_way = if route == "/" { page_of_what_is_under_way(&view) } else { None };
    let route = under_way.as_deref().unwrap_or(route);
    let page = WebviewUrl::App(format!("index.html#{route}").into());
    let built = WebviewWindowBuilder::new(app, LABEL, page)
        .title("Liftlock")
        .inner_size(960.0, 640.0)
        .min_inner_size(360.0, 480.0)
        .background_color(page_colour(app, &view.preferences.theme))
        .build();
    if let Err(cause) = built {
        tracing::error!("the window cannot be opened: {cause}");
    }
}

/// Whoever opens the window while one update runs is shown that, as it was shown before.
fn page_of_what_is_under_way(view: &AppView) -> Option<String> {
    let running = |it: &InstallationCard| {
        let upgrade = it.upgrade.as_ref().filter(|upgrade| !upgrade.state.is_final())?;
        Some(format!("/app/{}/upgrade/{}", it.name, upgrade.upgrade_id))
    };
    let mut all = view.installations.iter().filter_map(running);
    all.next().filter(|_| all.next().is_none())
}

fn page_colour(app: &AppHandle, theme: &str) -> tauri::window::Color {
    let is_dark = match theme {
        "dark" => true,
        "light" => false,
        _ => app.webview_windows().values().next().is_some_and(|it| it.theme().is_ok_and(|it| it == Theme::Dark)),
    };
    let (r, g, b, a) = if is_dark { PAGE_DARK } else { PAGE_LIGHT };
    tauri::window::Color(r, g, b, a)
}

/// The page of the window has loaded and asks for what it shows: from now on it can ask a person too.
pub(crate) fn page_is_there() {
    PAGE_IS_THERE.store(true, Ordering::Relaxed);
}

/// Whether there is one.
pub(crate) fn is_open(app: &AppHandle) -> bool {
    app.get_webview_window(LABEL).is_some()
}

/// Asks in the window before it is closed for the first time, or while an update goes on and nothing stays behind to
/// tell its end; true where the window waits for the answer.
pub(crate) fn asks_before_close(app: &AppHandle) -> bool {
    if ANSWERED.swap(false, Ordering::Relaxed) || !PAGE_IS_THERE.load(Ordering::Relaxed) {
        return false;
    }
    let view = app.state::<App>().view();
    let works = view.installations.iter().filter_map(|it| it.upgrade.as_ref()).any(|it| !it.state.is_final());
    let why = match (view.has_tray, works) {
        _ if view.problem.is_some() => return false,
        (true, _) if !view.preferences.first_close_explained => "first_close",
        (true, _) => return false,
        (false, true) => "quit_during_upgrade",
        (false, false) if !view.preferences.first_close_explained => "no_tray",
        (false, false) => return false,
    };
    !ASKED.swap(true, Ordering::Relaxed) && app.emit("ask_close", serde_json::json!({ "why": why })).is_ok()
}

/// The question was answered.
pub(crate) fn closed_as_answered(app: &AppHandle) {
    ASKED.store(false, Ordering::Relaxed);
    if !is_open(app) {
        ANSWERED.store(false, Ordering::Relaxed);
    }
}

/// Ends the program, or asks first where an update goes on and there is a window to ask in.
pub(crate) fn quit(app: &AppHandle) {
    let works = app
        .state::<App>()
        .view()
        .installations
        .iter()
        .any(|it| it.upgrade.as_ref().is_some_and(|it| !it.state.is_final()));
    if works && is_open(app) && PAGE_IS_THERE.load(Ordering::Relaxed) {
        show(app, "/");
        let _ = app.emit("ask_close", serde_json::json!({ "why": "quit_during_upgrade" }));
    } else {
        app.exit(0);
    }
}

/// Goes to the tray as soon as nothing is at work on backups: what only a window could show is stopped, the rest goes on.
pub(crate) fn to_tray_when_done(app: &AppHandle) {
    let jobs = app.state::<Jobs>();
    if !jobs.any() {
        return back_to_tray(app);
    }
    jobs.stop_all(true);
    let app = app.clone();
    crate::watch::spawn("to-tray", move || {
        app.state::<Jobs>().wait(None);
        let handle = app.clone();
        // Whoever has opened a window meanwhile closes it once more.
        let asked = app.run_on_main_thread(move || {
            if !is_open(&handle) {
                back_to_tray(&handle);
            }
        });
        if let Err(cause) = asked {
            tracing::warn!("what the window took of memory stays: {cause}");
        }
    });
}

/// Ends the program once what is at work on backups has stopped and taken away what it had begun. A part of it that does
/// not hear is not waited for: what it leaves is cleared away by the next of its kind.
pub(crate) fn end_when_stopped(app: &AppHandle, code: i32) {
    app.state::<Jobs>().stop_all(false);
    let app = app.clone();
    crate::watch::spawn("end", move || {
        if !app.state::<Jobs>().wait(Some(STOPPED_WITHIN)) {
            tracing::warn!("something does not stop; the program ends all the same");
            std::process::exit(code);
        }
        app.exit(code);
    });
}

/// Begins anew without a window: parts of the web view stay in memory for as long as this process lives.
pub(crate) fn back_to_tray(app: &AppHandle) {
    // Whoever leaves by another process never comes to the end at which it would be kept.
    if let Err(cause) = app.save_window_state(StateFlags::all()) {
        tracing::warn!("the size of the window is not kept: {cause}");
    }
    let mut env = app.env();
    env.args_os = [env.args_os.first().cloned().unwrap_or_default(), IN_TRAY.into()].into();
    app.cleanup_before_exit();
    tauri::process::restart(&env);
}
