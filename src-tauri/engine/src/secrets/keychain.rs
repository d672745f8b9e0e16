//! Secrets that the system keeps for its user: the Secret Service of a Linux desktop, the keychain of macOS, the
//! credentials of Windows. What is in them is put there with the system's own means, or by [`put`]; nothing is ever
//! replaced or taken out.
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
const OTHERWISE: &str = "or keep the secret in a file, and name that instead of the keychain";

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
    let wanted = name.to_owned();
    let text = in_time(name, move || ask(&wanted))?;
    Ok(Secret::new(text.trim()))
}

/// Puts a secret in, under a name that is not taken yet.
///
/// # Errors
/// `keychain_taken`; else as [`find`].
pub fn put(name: &str, secret: &Secret) -> Result<()> {
    match find(name) {
        Ok(_) => {
            return Err(Error::refused(
                "keychain_taken",
                format!("The system's keychain holds a “{name}” for Liftlock."),
            )
            .remedy("Use that one, or choose another name. Nothing is replaced: something may be encrypted with it."));
        }
        Err(error) if error.class == "keychain_without" => {}
        Err(error) => return Err(error),
    }
    let (wanted, secret) = (name.to_owned(), secret.clone());
    in_time(name, move || keep(&wanted, secret.expose()))
}

/// What the keychain answers to `question`, on a thread of its own: it may never answer.
fn in_time<T: Send + 'static>(
    name: &str,
    question: impl FnOnce() -> std::result::Result<T, Silence> + Send + 'static,
) -> Result<T> {
    let (tell, told) = channel();
    let asked = std::thread::Builder::new().name("keychain".into()).spawn(move || {
        // Nobody may be listening any more.
        let _ = tell.send(question());
    });
    asked.map_err(|cause| {
        Error::failed("io", "The system gave no thread for its keychain.").remedy("Try again.").because(&cause)
    })?;
    match told.recv_timeout(PATIENCE) {
        Ok(answer) => answer.map_err(|why| error(name, why)),
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
                .remedy(format!("Put it there again: {}.", how_to_put(name)))
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
fn absent(cause: secret_service::Error) -> Silence {
    match cause {
        secret_service::Error::Locked => Silence::Locked,
        other => Silence::Absent(other.to_string()),
    }
}

#[cfg(target_os = "linux")]
fn keep(name: &str, secret: &str) -> std::result::Result<(), Silence> {
    use secret_service::{EncryptionType, blocking::SecretService};

    let service = SecretService::connect(EncryptionType::Dh).map_err(absent)?;
    let collection = service.get_default_collection().map_err(absent)?;
    if collection.is_locked().map_err(absent)? {
        return Err(Silence::Locked);
    }
    let attributes = [("service", SERVICE), ("username", name)].into();
    collection.create_item("Liftlock", attributes, secret.as_bytes(), false, "text/plain").map(drop).map_err(absent)
}

#[cfg(target_os = "linux")]
fn ask(name: &str) -> std::result::Result<String, Silence> {
    use secret_service::{EncryptionType, blocking::SecretService};

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
fn entry(name: &str) -> std::result::Result<keyring_core::Entry, Silence> {
    use keyring_core::api::CredentialStoreApi as _;

    #[cfg(target_os = "macos")]
    let store = apple_native_keyring_store::keychain::Store::new().map_err(silence)?;
    #[cfg(windows)]
    let store = windows_native_keyring_store::Store::new().map_err(silence)?;
    store.build(SERVICE, name, None).map_err(silence)
}

#[cfg(any(target_os = "macos", windows))]
fn silence(cause: keyring_core::Error) -> Silence {
    match cause {
        keyring_core::Error::NoEntry => Silence::Unknown,
        keyring_core::Error::NoStorageAccess(_) => Silence::Locked,
        keyring_core::Error::Ambiguous(_) => Silence::Several,
        keyring_core::Error::BadEncoding(_) => Silence::NoText,
        other => Silence::Absent(other.to_string()),
    }
}

#[cfg(any(target_os = "macos", windows))]
fn ask(name: &str) -> std::result::Result<String, Silence> {
    entry(name)?.get_password().map_err(silence)
}

#[cfg(any(target_os = "macos", windows))]
fn keep(name: &str, secret: &str) -> std::result::Result<(), Silence> {
    entry(name)?.set_password(secret).map_err(silence)
}

#[cfg(not(any(target_os = "linux", target_os = "macos", windows)))]
fn ask(_name: &str) -> std::result::Result<String, Silence> {
    Err(Silence::Absent("Liftlock knows none on this system".to_owned()))
}

#[cfg(not(any(target_os = "linux", target_os = "macos", windows)))]
fn keep(name: &str, _secret: &str) -> std::result::Result<(), Silence> {
    ask(name).map(drop)
}
