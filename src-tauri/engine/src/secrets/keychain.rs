//! Secrets that the system keeps for its user: the Secret Service of a Linux desktop, the keychain of macOS, the
//! credentials of Windows. Only read; what is in them is put there with the system's own means.
//!
//! Nothing here ever makes a question appear: an updater that runs by night would wait for an answer until morning. A
//! keychain that is locked is said to be locked, and one that says nothing is given up.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use crate::error::{Error, Result};
use crate::secrets::Secret;

/// Under which name Liftlock's secrets stand in it.
const SERVICE: &str = "liftlock";
/// A keychain answers at once, or asks somebody who may not be there.
const PATIENCE: Duration = Duration::from_secs(10);
/// What always works.
const OTHERWISE: &str = "or let the profile name a file: token = { file = \"…\", key = \"…\" }";

/// Why a keychain told nothing.
enum Silence {
    /// There is none.
    Absent(String),
    /// It waits for its password.
    Locked,
    /// It has nothing of that name.
    Unknown,
    /// There are several of that name.
    Several,
    /// It holds something that is no text.
    NoText,
}

/// The secret of this name.
///
/// # Errors
/// `keychain_absent`, `keychain_locked`, `keychain_without`, `keychain_unclear`, `keychain_silent`.
pub fn find(name: &str) -> Result<Secret> {
    let (tell, told) = channel();
    let wanted = name.to_owned();
    let asked = std::thread::Builder::new().name("keychain".into()).spawn(move || {
        // Nobody may be listening any more.
        let _ = tell.send(ask(&wanted));
    });
    asked.map_err(|cause| {
        Error::failed("io", "The system gave no thread for its keychain.").remedy("Try again.").because(&cause)
    })?;
    match told.recv_timeout(PATIENCE) {
        Ok(Ok(text)) => Ok(Secret::new(text.trim())),
        Ok(Err(why)) => Err(error(name, why)),
        Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
            let message = format!("The system's keychain did not answer within {} seconds.", PATIENCE.as_secs());
            Err(Error::failed("keychain_silent", message).remedy(format!("Unlock it and try again, {OTHERWISE}.")))
        }
    }
}

fn error(name: &str, why: Silence) -> Error {
    match why {
        Silence::Absent(cause) => {
            Error::failed("keychain_absent", "There is no keychain of the system to be reached from here.")
                .remedy(format!("Start one (on a Linux desktop GNOME Keyring, KWallet or KeePassXC), {OTHERWISE}."))
                .detail(cause)
        }
        Silence::Locked => Error::failed("keychain_locked", "The system's keychain is locked.")
            .remedy(format!("Unlock it by signing in to the desktop, then try again, {OTHERWISE}.")),
        Silence::Unknown => {
            Error::refused("keychain_without", format!("The system's keychain holds no “{name}” for Liftlock."))
                .remedy(format!("Put it there ({}), {OTHERWISE}.", how_to_put(name)))
        }
        Silence::Several => Error::refused(
            "keychain_unclear",
            format!("The system's keychain holds “{name}” for Liftlock more than once."),
        )
        .remedy("Take out all but one of them."),
        Silence::NoText => {
            Error::refused("keychain_unclear", format!("What the system's keychain holds as “{name}” is no text."))
                .remedy(format!("Put the token there again: {}.", how_to_put(name)))
        }
    }
}

#[cfg(target_os = "macos")]
fn how_to_put(name: &str) -> String {
    format!("security add-generic-password -s {SERVICE} -a {name} -w")
}

#[cfg(windows)]
fn how_to_put(name: &str) -> String {
    format!("cmdkey /generic:{name}.{SERVICE} /user:{name} /pass")
}

#[cfg(not(any(target_os = "macos", windows)))]
fn how_to_put(name: &str) -> String {
    format!("secret-tool store --label=Liftlock service {SERVICE} username {name}")
}

#[cfg(target_os = "linux")]
fn ask(name: &str) -> std::result::Result<String, Silence> {
    use secret_service::{EncryptionType, blocking::SecretService};

    let absent = |cause: secret_service::Error| match cause {
        secret_service::Error::Locked => Silence::Locked,
        other => Silence::Absent(other.to_string()),
    };
    let service = SecretService::connect(EncryptionType::Dh).map_err(absent)?;
    let found = service.search_items([("service", SERVICE), ("username", name)].into()).map_err(absent)?;
    let item = match (found.unlocked.as_slice(), found.locked.as_slice()) {
        ([item], _) => item,
        ([], []) => return Err(Silence::Unknown),
        ([], _) => return Err(Silence::Locked),
        _ => return Err(Silence::Several),
    };
    String::from_utf8(item.get_secret().map_err(absent)?).map_err(|_| Silence::NoText)
}

#[cfg(any(target_os = "macos", windows))]
fn ask(name: &str) -> std::result::Result<String, Silence> {
    use keyring_core::api::CredentialStoreApi as _;

    let silence = |cause: keyring_core::Error| match cause {
        keyring_core::Error::NoEntry => Silence::Unknown,
        keyring_core::Error::NoStorageAccess(_) => Silence::Locked,
        keyring_core::Error::Ambiguous(_) => Silence::Several,
        keyring_core::Error::BadEncoding(_) => Silence::NoText,
        other => Silence::Absent(other.to_string()),
    };
    #[cfg(target_os = "macos")]
    let store = apple_native_keyring_store::keychain::Store::new().map_err(silence)?;
    #[cfg(windows)]
    let store = windows_native_keyring_store::Store::new().map_err(silence)?;
    store.build(SERVICE, name, None).and_then(|it| it.get_password()).map_err(silence)
}

#[cfg(not(any(target_os = "linux", target_os = "macos", windows)))]
fn ask(_name: &str) -> std::result::Result<String, Silence> {
    Err(Silence::Absent("Liftlock knows none on this system".to_owned()))
}
