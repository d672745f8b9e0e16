//! The rows of `setting`: what a person may choose, with defaults and limits in one table.

use rusqlite::{OptionalExtension, params};

use crate::error::{Error, Result};
use crate::objects::Address;
use crate::seal::{KeyPlace, Keys, To};
use crate::state::Db;

/// One thing that a person may choose.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Its name on the command line.
    pub key: &'static str,
    /// What holds where nothing was chosen.
    pub default: &'static str,
    /// What it does, in one sentence.
    pub about: &'static str,
    /// Whether a value makes sense; the answer says what would.
    check: fn(&str) -> std::result::Result<(), &'static str>,
}

fn whole_number(text: &str, low: u64, high: u64, wanted: &'static str) -> std::result::Result<(), &'static str> {
    text.parse::<u64>().ok().filter(|it| (low..=high).contains(it)).map(|_| ()).ok_or(wanted)
}

fn one_of(text: &str, words: &[&str], wanted: &'static str) -> std::result::Result<(), &'static str> {
    if words.contains(&text) { Ok(()) } else { Err(wanted) }
}

fn absolute_or_nothing(text: &str) -> std::result::Result<(), &'static str> {
    if text.is_empty() || std::path::Path::new(text).is_absolute() {
        Ok(())
    } else {
        Err("an absolute path, or nothing")
    }
}

/// The one that is remembered outside the state, so that backups are found without it.
pub(crate) const BACKUP_FOLDER: &str = "backup_folder";

/// Every setting.
pub const SETTINGS: &[Setting] = &[
    Setting {
        key: "keep_backups",
        default: "5",
        about: "How many of the newest backups are kept, of each kind: yours, those before updates, scheduled ones.",
        check: |text| whole_number(text, 1, 10000, "a whole number from 1 to 10000"),
    },
    Setting {
        key: "keep_backups_daily",
        default: "0",
        about: "Of how many past days the newest backup is kept beside those.",
        check: |text| whole_number(text, 0, 1000, "a whole number from 0 to 1000"),
    },
    Setting {
        key: "keep_backups_weekly",
        default: "0",
        about: "Of how many past weeks the newest backup is kept beside those.",
        check: |text| whole_number(text, 0, 1000, "a whole number from 0 to 1000"),
    },
    Setting {
        key: "keep_backups_monthly",
        default: "0",
        about: "Of how many past months the newest backup is kept beside those.",
        check: |text| whole_number(text, 0, 1000, "a whole number from 0 to 1000"),
    },
    Setting {
        key: "keep_backups_yearly",
        default: "0",
        about: "Of how many past years the newest backup is kept beside those.",
        check: |text| whole_number(text, 0, 1000, "a whole number from 0 to 1000"),
    },
    Setting {
        key: "backups_budget_gb",
        default: "0",
        about: "How many GB all backups of one application may take before Liftlock warns; 0: any.",
        check: |text| whole_number(text, 0, 1000000, "a whole number from 0 to 1000000"),
    },
    Setting {
        key: BACKUP_FOLDER,
        default: "",
        about: "The folder in which new backups are kept; nothing: Liftlock's own. Those made before stay where they are.",
        check: absolute_or_nothing,
    },
    Setting {
        key: "copy_folder",
        default: "",
        about: "The folder on another disk to which scheduled backups are copied; chosen with `liftlock backup copy`.",
        check: absolute_or_nothing,
    },
    Setting {
        key: "copy_storage",
        default: "",
        about: "The storage to which scheduled backups are copied (S3); chosen with `liftlock backup copy --to s3://…`.",
        check: |text| {
            if text.is_empty() || Address::parse(text).is_ok() {
                Ok(())
            } else {
                Err("what `liftlock backup copy --to s3://…` writes there, or nothing")
            }
        },
    },
    Setting {
        key: "keep_copies",
        default: "10",
        about: "How many of the newest copies are kept in each of these places, for each application.",
        check: |text| whole_number(text, 1, 10000, "a whole number from 1 to 10000"),
    },
    Setting {
        key: "encrypt_backups",
        default: "",
        about: "To whom backups are encrypted: `passphrase`, or recipients of age; chosen with `liftlock backup encrypt`.",
        check: |text| To::parse(text).map(drop).map_err(|_| "passphrase, recipients of age (age1…), or nothing"),
    },
    Setting {
        key: "backup_key",
        default: "",
        about: "Where the passphrase or the secret key of encrypted backups is kept; chosen with `liftlock backup encrypt`.",
        check: |text| {
            if text.is_empty() || KeyPlace::parse(text).is_ok() {
                Ok(())
            } else {
                Err("file:/path/to/it, env:NAME, fd:NUMBER, or nothing")
            }
        },
    },
    Setting {
        key: "prove_again_days",
        default: "30",
        about: "After how many days a backup is restored as a test once more when scheduled backups run; 0: never.",
        check: |text| whole_number(text, 0, 3650, "a whole number from 0 to 3650"),
    },
    Setting {
        key: "completion_ttl_minutes",
        default: "10",
        about: "How long a finished update is shown as the current status before it counts as known.",
        check: |text| whole_number(text, 1, 1440, "a whole number of minutes from 1 to 1440"),
    },
    Setting {
        key: "check_interval_hours",
        default: "24",
        about: "How often Liftlock looks for new releases by itself.",
        check: |text| whole_number(text, 1, 720, "a whole number of hours from 1 to 720"),
    },
    Setting {
        key: "keep_originals_days",
        default: "7",
        about: "After how many days on which the application was seen to be well what an update kept beside is removed.",
        check: |text| whole_number(text, 1, 3650, "a whole number of days from 1 to 3650"),
    },
    Setting {
        key: "notifications",
        default: "all",
        about: "What the desktop tells: all; important, which leaves out new versions; or none. The window says everything.",
        check: |text| one_of(text, &["all", "important", "none"], "all, important or none"),
    },
    Setting {
        key: "theme",
        default: "system",
        about: "Colours of the window: as the system, light or dark.",
        check: |text| one_of(text, &["system", "light", "dark"], "system, light or dark"),
    },
    Setting {
        key: "contrast",
        default: "system",
        about: "Contrast of the window: as the system, or more.",
        check: |text| one_of(text, &["system", "more"], "system or more"),
    },
    Setting {
        key: "text_percent",
        default: "100",
        about: "Size of the text in the window, in percent.",
        check: |text| whole_number(text, 80, 200, "a whole number from 80 to 200"),
    },
    Setting {
        key: "scratch_dir",
        default: "",
        about: "Where the private scratch server for proofs and rehearsals may stand; empty: chosen by Liftlock.",
        check: absolute_or_nothing,
    },
];

/// The setting of that name.
///
/// # Errors
/// `unknown_setting`.
pub fn setting(key: &str) -> Result<&'static Setting> {
    SETTINGS.iter().find(|it| it.key == key).ok_or_else(|| {
        let known: Vec<_> = SETTINGS.iter().map(|it| it.key).collect();
        Error::usage("unknown_setting", format!("There is no setting “{}”.", key.escape_debug()))
            .remedy(format!("The settings are: {}.", known.join(", ")))
    })
}

/// Whether a value makes sense for the setting of that name.
///
/// # Errors
/// `unknown_setting`, `bad_setting`.
pub(crate) fn check(key: &str, value: &str) -> Result<()> {
    (setting(key)?.check)(value).map_err(|wanted| {
        Error::usage("bad_setting", format!("“{}” cannot be {key}.", value.escape_debug()))
            .remedy(format!("It takes {wanted}."))
    })
}

/// Under which name it is remembered where keys were kept before.
const OLDER_KEYS: &str = "backup_keys_before";
/// Each is tried in turn, and a passphrase takes a second.
const MOST_KEYS: usize = 8;

impl Db {
    /// How backups are encrypted, and where what opens them is.
    ///
    /// # Errors
    /// Those of the state itself; what was chosen makes no sense.
    pub fn backup_keys(&self) -> Result<Keys> {
        let place = self.setting("backup_key")?;
        let place = if place.is_empty() { None } else { Some(KeyPlace::parse(&place)?) };
        let older = self.older_keys()?.iter().filter_map(|it| KeyPlace::parse(it).ok()).collect();
        Ok(Keys::new(To::parse(&self.setting("encrypt_backups")?)?, place).and_older(older))
    }

    /// Where what opens older backups was kept before, the newest first.
    fn older_keys(&self) -> Result<Vec<String>> {
        Ok(self.note(OLDER_KEYS)?.and_then(|it| serde_json::from_str(&it).ok()).unwrap_or_default())
    }

    /// Remembers where the key was kept until now, where it is kept at `now` from now on: older backups need it still.
    ///
    /// # Errors
    /// Those of the state itself.
    pub(crate) fn key_moves_to(&mut self, now: &str) -> Result<()> {
        let before = self.setting("backup_key")?;
        let mut older = self.older_keys()?;
        older.insert(0, before);
        let mut places: Vec<String> = Vec::new();
        for it in older {
            // A descriptor is one of a process that has ended.
            if !it.is_empty() && it != now && !it.starts_with("fd:") && !places.contains(&it) {
                places.push(it);
            }
        }
        places.truncate(MOST_KEYS);
        let text = serde_json::to_string(&places)
            .map_err(|cause| Error::bug("state_json", "A record could not be written.").because(&cause))?;
        self.set_note(OLDER_KEYS, &text)
    }

    /// What is chosen for `key`, or its default.
    ///
    /// # Errors
    /// `unknown_setting`.
    pub fn setting(&self, key: &str) -> Result<String> {
        let setting = setting(key)?;
        let chosen: Option<String> = self
            .conn
            .prepare_cached("SELECT value FROM setting WHERE key = ?1")?
            .query_map([key], |row| row.get(0))?
            .next()
            .transpose()?;
        // A value that someone wrote into the file by hand is not trusted.
        Ok(chosen.filter(|it| (setting.check)(it).is_ok()).unwrap_or_else(|| setting.default.to_owned()))
    }

    /// Chooses a value.
    ///
    /// # Errors
    /// `unknown_setting`, `bad_setting`.
    pub fn choose(&mut self, key: &str, value: &str) -> Result<()> {
        check(key, value)?;
        self.conn.execute(
            "INSERT INTO setting (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            params![key, value],
        )?;
        Ok(())
    }

    /// Remembers it no longer.
    ///
    /// # Errors
    /// Those of the state itself.
    pub(crate) fn forget_note(&mut self, key: &str) -> Result<()> {
        self.conn.execute("DELETE FROM setting WHERE key = '_' || ?1", [key])?;
        Ok(())
    }
}

impl Db {
    /// Something that Liftlock itself wants to remember, apart from what a person chooses.
    ///
    /// # Errors
    /// Those of the state itself.
    pub(crate) fn note(&self, key: &str) -> Result<Option<String>> {
        Ok(self
            .conn
            .prepare_cached("SELECT value FROM setting WHERE key = '_' || ?1")?
            .query_map([key], |row| row.get(0))?
            .next()
            .transpose()?)
    }

    /// Remembers it.
    ///
    /// # Errors
    /// Those of the state itself.
    pub(crate) fn set_note(&mut self, key: &str, value: &str) -> Result<()> {
        self.conn.execute(
            "INSERT INTO setting (key, value) VALUES ('_' || ?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            params![key, value],
        )?;
        Ok(())
    }

    /// Remembers it where nothing is remembered yet, or what is may be replaced; says whether. Nobody comes between the look
    /// and the change.
    ///
    /// # Errors
    /// Those of the state itself; those of `may_go`.
    pub(crate) fn replace_note(
        &mut self,
        key: &str,
        value: &str,
        may_go: impl FnOnce(&str) -> Result<bool>,
    ) -> Result<bool> {
        let tx = self.write()?;
        let kept: Option<String> =
            tx.query_row("SELECT value FROM setting WHERE key = '_' || ?1", [key], |row| row.get(0)).optional()?;
        if let Some(kept) = kept
            && !may_go(&kept)?
        {
            return Ok(false);
        }
        tx.execute(
            "INSERT INTO setting (key, value) VALUES ('_' || ?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            params![key, value],
        )?;
        tx.commit()?;
        Ok(true)
    }
}
