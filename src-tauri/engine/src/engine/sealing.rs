//! The verbs about encrypted backups.

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::seal::{KeyPlace, Keys, To};
use crate::secrets::{Secret, keychain};
use crate::view::EncryptionView;

/// Whoever has the files can try as often as they like.
const SHORTEST: usize = 12;
/// Under which name it is remembered how backups were encrypted until a person ended that.
const BEFORE: &str = "encrypted_before";
/// More than anybody remembers.
const MOST_ENTRIES: usize = 20;

/// The entries of the keychain that hold passphrases of backups: the first, and those that were set after it.
fn entry(number: usize) -> String {
    if number == 1 { "backups".to_owned() } else { format!("backups_{number}") }
}

fn other_passphrase() -> Error {
    Error::refused("other_passphrase", "This is not the passphrase that backups were encrypted with before.").remedy(
        "Use that one again. Or set this one, and keep both: older backups can only be opened with the one of before.",
    )
}

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
        let (key_from, is_encrypted) = (db.setting("backup_key")?, passphrase || !recipients.is_empty());
        Ok(EncryptionView {
            encrypted: is_encrypted,
            passphrase,
            recipients,
            again: !is_encrypted && !key_from.is_empty() && db.note(BEFORE)?.is_some(),
            key_from: (!key_from.is_empty()).then_some(key_from),
        })
    }

    /// Encrypts as it was before [`Engine::stop_encrypting_backups`], with the key that is known.
    ///
    /// # Errors
    /// `not_encrypted_before`; as [`Engine::encrypt_backups`].
    pub fn encrypt_backups_again(&self) -> Result<EncryptionView> {
        let before = self.db()?.note(BEFORE)?.unwrap_or_default();
        let to = To::parse(&before)?.ok_or_else(|| {
            Error::refused("not_encrypted_before", "Backups were not encrypted before.")
                .remedy("Set a passphrase, or choose a key of age.")
        })?;
        self.encrypt_backups(&to, None)
    }

    /// Encrypts with a passphrase that is kept in the system's keychain. The one that is there is used again where it is the
    /// same; another one is set only where `keeps_both` says that a person knows what that means. Nothing in the keychain is
    /// replaced, and what was encrypted before is opened with the one of before for as long as that stays there.
    ///
    /// # Errors
    /// `other_passphrase`; as [`Engine::keep_backup_passphrase`] and [`Engine::encrypt_backups`].
    pub fn encrypt_backups_with(&self, passphrase: &str, keeps_both: bool) -> Result<EncryptionView> {
        self.must_be_unlocked()?;
        let known = self.db()?.setting("backup_key")?;
        if !known.is_empty() {
            match KeyPlace::parse(&known)?.read() {
                Ok(key) if key.expose() == passphrase.trim() => {
                    return self.encrypt_backups(&To::Passphrase, Some(&known));
                }
                Ok(_) if !keeps_both => return Err(other_passphrase()),
                // What is not there any more cannot be compared; what is locked is unlocked first.
                Err(error) if error.class == "keychain_locked" => return Err(error),
                Ok(_) | Err(_) => {}
            }
        }
        for entry in (1..=MOST_ENTRIES).map(entry) {
            match keychain::find(&entry) {
                Ok(known) if known.expose() == passphrase.trim() => {}
                Ok(_) if !keeps_both => return Err(other_passphrase()),
                Ok(_) => continue,
                Err(error) if error.class == "keychain_without" => {
                    self.keep_backup_passphrase(&format!("keychain:{entry}"), passphrase)?;
                }
                Err(error) => return Err(error),
            }
            return self.encrypt_backups(&To::Passphrase, Some(&format!("keychain:{entry}")));
        }
        Err(Error::refused("keychain_taken", "The system's keychain holds many passphrases of Liftlock's backups.")
            .remedy("Use one of them again."))
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
        self.db()?.key_moves_to(place)?;
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
                self.db()?.key_moves_to(place)?;
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
        let now = self.db()?.setting("encrypt_backups")?;
        self.choose("encrypt_backups", None)?;
        if !now.is_empty() {
            self.db()?.set_note(BEFORE, &now)?;
        }
        self.encryption()
    }
}
