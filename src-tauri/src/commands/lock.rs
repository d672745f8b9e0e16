//! The administrator lock. What is unlocked here is this program, as long as it runs.

use liftlock_engine::durable;
use liftlock_engine::error::Error;
use liftlock_engine::view::{ErrorView, LockView};
use serde::Serialize;
use tauri::{AppHandle, Emitter, WebviewWindow};

use super::{Answer, ask, chosen};
use crate::watch;

/// What is shown once, when the lock was set.
#[derive(Serialize)]
pub(crate) struct LockSet {
    recovery_code: String,
}

/// Sets the lock, or another passphrase.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn set_lock(app: AppHandle, passphrase: String) -> Answer<LockSet> {
    let code = ask(&app, move |engine| engine.set_lock(&passphrase)).await?;
    watch::tell(&app);
    Ok(LockSet { recovery_code: code.to_string() })
}

/// Saves the recovery code where a person wants it, readable by them alone; answers where, nothing where the dialog was
/// closed. It is known to the page only, which shows it once.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn save_recovery_code(app: AppHandle, code: String) -> Answer<Option<String>> {
    let target = chosen(&app, |dialog, tell| dialog.set_file_name("liftlock-recovery-code.txt").save_file(tell)).await;
    let Some(target) = target else { return Ok(None) };
    ask(&app, move |_| {
        let text = format!("The recovery code of Liftlock's administrator lock on this computer:\n\n{code}\n");
        durable::write(&target, text.as_bytes())?;
        Ok(Some(target.display().to_string()))
    })
    .await
}

/// Opens the system's dialog for printing what the window shows; on paper that is the code alone. The page's own
/// `print()` opens nothing where WebKitGTK draws it.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn print_recovery_code(window: WebviewWindow) -> Answer<()> {
    window.print().map_err(|cause| {
        ErrorView::from(
            &Error::failed("no_printer", "The code could not be printed.")
                .remedy("Save it to a file, or copy it.")
                .because(&cause),
        )
    })
}

/// Removes the lock.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn remove_lock(app: AppHandle, passphrase: String) -> Answer<LockView> {
    turned(&app, ask(&app, move |engine| engine.remove_lock(&passphrase)).await)
}

/// Locks this window.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn lock(app: AppHandle) -> Answer<LockView> {
    turned(&app, ask(&app, |engine| engine.lock()).await)
}

/// Unlocks this window.
#[tauri::command(rename_all = "snake_case")]
pub(crate) async fn unlock(app: AppHandle, passphrase: String) -> Answer<LockView> {
    turned(&app, ask(&app, move |engine| engine.unlock(&passphrase)).await)
}

fn turned(app: &AppHandle, lock: Answer<LockView>) -> Answer<LockView> {
    if let Ok(lock) = &lock {
        let _ = app.emit("lock", lock);
    }
    // Also after a wrong passphrase: how long to wait is part of the view.
    watch::tell(app);
    lock
}
