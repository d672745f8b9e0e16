//! What this program holds: the engine, and what only a face can know.

use std::sync::{Arc, Mutex, PoisonError};

use liftlock_engine::Engine;
use liftlock_engine::engine::Face;
use liftlock_engine::error::{Error, Result};
use liftlock_engine::view::window::{AppView, HealthView};
use tauri::AppHandle;
use tauri_plugin_autostart::ManagerExt;
use tauri_plugin_shell::ShellExt;

use crate::desk::ThisDesk;

/// The worker and command line, beside this program.
const SIDECAR: &str = "liftlock";

/// Shared by commands, watcher and tray.
#[derive(Clone)]
pub(crate) struct App {
    engine: Result<Engine>,
    face: Arc<Mutex<Face>>,
}

impl App {
    pub(crate) fn new(handle: &AppHandle) -> Self {
        let engine = sidecar(handle)
            .and_then(|worker| Ok(Engine::of_this_user()?.with_worker(worker).with_desk(Arc::new(ThisDesk))));
        let face = Face { autostart: handle.autolaunch().is_enabled().unwrap_or(false), ..Face::default() };
        Self { engine, face: Arc::new(Mutex::new(face)) }
    }

    /// The engine, or why there is none.
    pub(crate) fn engine(&self) -> Result<Engine> {
        self.engine.clone()
    }

    pub(crate) fn has_tray(&self) -> bool {
        self.with_face(|face| face.has_tray)
    }

    pub(crate) fn found_tray(&self, has_tray: bool) {
        self.with_face(|face| face.has_tray = has_tray);
    }

    pub(crate) fn set_autostart(&self, on: bool) {
        self.with_face(|face| face.autostart = on);
    }

    pub(crate) fn set_health(&self, name: &str, health: HealthView) {
        self.with_face(|face| face.health.insert(name.to_owned(), health));
    }

    /// Everything that Home, the rail and the tray need.
    pub(crate) fn view(&self) -> AppView {
        let face = self.with_face(|face| face.clone());
        match &self.engine {
            Ok(engine) => engine.app(&face),
            Err(error) => AppView::broken(error, &face),
        }
    }

    fn with_face<T>(&self, act: impl FnOnce(&mut Face) -> T) -> T {
        act(&mut self.face.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Where the worker is: looked up as Tauri bundles it, started by the engine, from a private copy and in a session of
/// its own, so that it has no pipe to us and outlives us.
fn sidecar(handle: &AppHandle) -> Result<std::path::PathBuf> {
    let missing = || {
        Error::failed("no_worker", "A part of Liftlock is missing: the program that does the work.")
            .remedy("Install Liftlock again; your applications and backups are not touched.")
    };
    let command = handle.shell().sidecar(SIDECAR).map_err(|cause| missing().because(&cause))?;
    let path = std::path::PathBuf::from(std::process::Command::from(command).get_program());
    if path.is_file() { Ok(path) } else { Err(missing().detail(path.display().to_string())) }
}
