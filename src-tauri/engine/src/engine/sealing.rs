//! The verbs about encrypted backups.

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::seal::{KeyPlace, Keys, To};
use crate::secrets::{Secret, keychain};
use crate::view::EncryptionView;

/// Whoever has the files can try as often as they like.
const SHORTEST: usize = 12;

impl Engine {
    /// How backups are encrypted.
    ///
    /// # Errors
    /// Those of the state itself.
    pub fn encryption(&self) -> Result<EncryptionView> {
        let db = self.db()?;
        let (recipients, passphrase) = match To::parse(&db.setting("encrypt_backups")?)? {
            None => (Vec::new(), false),
            Some(To::Passphrase) => (Vec::new(), true),
            Some(To::Recipients(all)) => (all, false),
        };
        let key_from = db.setting("backup_key")?;
        Ok(EncryptionView {
            encrypted: passphrase || !recipients.is_empty(),
            passphrase,
            recipients,
            key_from: (!key_from.is_empty()).then_some(key_from),
        })
    }

    /// Encrypts the backups that are made from now on: with a passphrase, or to recipients of age. What opens them is kept
    /// at `key_from` (`file:/path`, `keychain:NAME`, `env:NAME`, `fd:NUMBER`), and is tried at once: what could not be opened again could
    /// not be proven. Without `key_from`, the place that is known stays. Backups that are there stay as they are.
    ///
    /// # Errors
    /// `locked`, `bad_recipient`, `bad_key_place`, `key_unreadable`, `key_not_private`, `no_key`, `wrong_key`; then nothing
    /// was changed.
    pub fn encrypt_backups(&self, to: &To, key_from: Option<&str>) -> Result<EncryptionView> {
        self.must_be_unlocked()?;
        let known = self.db()?.setting("backup_key")?;
        let place = key_from.unwrap_or(&known);
        if place.is_empty() {
            return Err(Error::refused("no_key", "Backups that cannot be opened again cannot be proven.").remedy(
                "Say where the passphrase or the secret key is kept: --key-from file:/path/to/it. Keep a copy elsewhere.",
            ));
        }
        Keys::new(Some(to.clone()), Some(KeyPlace::parse(place)?)).try_out()?;
        let text = match to {
            To::Passphrase => "passphrase".to_owned(),
            To::Recipients(all) => all.join(" "),
        };
        self.choose("backup_key", Some(place))?;
        self.choose("encrypt_backups", Some(&text))?;
        self.encryption()
    }

    /// Puts a passphrase for backups where `place` says, which must be the system's keychain, under a name that is not taken.
    ///
    /// # Errors
    /// `locked`, `bad_key_place`, `passphrase_short`, `keychain_taken`, and what else the keychain answers.
    pub fn keep_backup_passphrase(&self, place: &str, passphrase: &str) -> Result<()> {
        self.must_be_unlocked()?;
        let KeyPlace::Keychain(name) = KeyPlace::parse(place)? else {
            return Err(Error::usage("bad_key_place", "Liftlock puts a passphrase into the system's keychain only.")
                .remedy("Write keychain:NAME."));
        };
        if passphrase.chars().count() < SHORTEST {
            return Err(Error::usage("passphrase_short", format!("A passphrase has {SHORTEST} characters or more."))
                .remedy("Choose a longer one: some words that do not belong together are easy to keep in mind."));
        }
        keychain::put(&name, &Secret::new(passphrase))
    }

    /// Says where the key of encrypted backups is kept now.
    ///
    /// # Errors
    /// As [`Engine::encrypt_backups`].
    pub fn keep_backup_key_at(&self, place: &str) -> Result<EncryptionView> {
        self.must_be_unlocked()?;
        match To::parse(&self.db()?.setting("encrypt_backups")?)? {
            Some(to) => self.encrypt_backups(&to, Some(place)),
            // Older ones can be opened all the same.
            None => {
                KeyPlace::parse(place)?;
                self.choose("backup_key", Some(place))?;
                self.encryption()
            }
        }
    }

    /// Encrypts no more backups. Where the key is stays known, for those that are.
    ///
    /// # Errors
    /// `locked`.
    pub fn stop_encrypting_backups(&self) -> Result<EncryptionView> {
        self.choose("encrypt_backups", None)?;
        self.encryption()
    }
}
