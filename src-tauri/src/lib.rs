//! The window, the tray and the notifications of Liftlock: callers of the engine, without logic of their own.
//!
//! An upgrade is never done here. A command asks the engine for it, which starts the worker; from then on this program
//! only mirrors the state, and may be closed, killed or replaced at any time.

mod app;
mod chores;
mod commands;
mod desk;
mod notify;
mod tray;
mod watch;
mod window;

use std::process::ExitCode;

use tauri::{Manager, RunEvent, WindowEvent};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::prelude::*;

use crate::app::App;

/// Starts in the tray, without a window: how the session starts it.
const IN_TRAY: &str = "--tray";

/// Runs until a person quits.
pub fn run() -> ExitCode {
    let wanted = std::env::var("LIFTLOCK_LOG").ok().and_then(|it| it.parse::<Targets>().ok());
    let wanted = wanted.unwrap_or_else(|| Targets::new().with_default(LevelFilter::WARN));
    let log = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_filter(wanted);
    tracing_subscriber::registry().with(log).init();
    // While there is one thread only.
    #[cfg(target_os = "linux")]
    window::draw_without_the_graphics_card();
    let in_tray = std::env::args().any(|it| it == IN_TRAY);
    let built = tauri::Builder::default()
        // First of all: a second start must not get any further.
        .plugin(tauri_plugin_single_instance::init(|app, _, _| window::show(app, "/")))
        .plugin(tauri_plugin_shell::init())
        .plugin(tauri_plugin_dialog::init())
        .plugin(tauri_plugin_opener::init())
        .plugin(tauri_plugin_notification::init())
        .plugin(tauri_plugin_window_state::Builder::new().build())
        .plugin(tauri_plugin_autostart::Builder::new().arg(IN_TRAY).build())
        .invoke_handler(commands::handler())
        .setup(move |app| {
            let handle = app.handle();
            app.manage(App::new(handle));
            app.manage(commands::Candidates::default());
            app.manage(commands::Jobs::default());
            app.manage(commands::ChosenFile::default());
            let has_tray = tray::raise(handle);
            app.state::<App>().found_tray(has_tray);
            notify::begin(handle);
            watch::begin(handle);
            chores::begin(handle);
            if !in_tray || !has_tray {
                window::show(handle, "/");
            }
            Ok(())
        })
        .build(tauri::generate_context!());
    match built {
        Ok(app) => {
            app.run(on_event);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("Liftlock's window cannot be opened: {error}");
            ExitCode::FAILURE
        }
    }
}

fn on_event(app: &tauri::AppHandle, event: RunEvent) {
    match event {
        // The last window has gone; in the tray there is nothing else to show.
        RunEvent::ExitRequested { code: None, api, .. } if app.state::<App>().has_tray() => {
            api.prevent_exit();
            window::to_tray_when_done(app);
        }
        RunEvent::ExitRequested { code, api, .. } if app.state::<commands::Jobs>().any() => {
            api.prevent_exit();
            window::end_when_stopped(app, code.unwrap_or_default());
        }
        RunEvent::WindowEvent { event: WindowEvent::CloseRequested { api, .. }, .. }
            if window::asks_before_close(app) =>
        {
            api.prevent_close();
        }
        _ => {}
    }
}
