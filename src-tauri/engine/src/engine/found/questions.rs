//! What has to be asked before an application can be looked after, and how an answer is tried.
//!
//! Asked is only what the places that the profile names do not answer: a settings file that stands elsewhere, then a
//! password that is in none of them.

use std::io::Read;
use std::path::Path;

use toml::{Table, Value};
use zeroize::Zeroizing;

use super::Found;
use crate::drivers::command::reader;
use crate::durable;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::model::profile::{PostgresStore, Profile, Store};
use crate::process::Silent;
use crate::profiles;
use crate::state::home::make_private_dir;
use crate::state::installations::Installation;
use crate::view::window::{AskedKind, AskedView};

/// Begins the key of a question for a file; the file as the profile names it follows.
const FILE: &str = "file:";
/// Begins the key of a question for a password; the store follows.
const PASSWORD: &str = "password:";
/// The same where the answer is a file that holds the password.
const PASSWORD_FILE: &str = "passwordfile:";
/// A file of settings is small; what is larger is something else.
const LARGEST: u64 = 64 * 1024;
/// A server that counts wrong passwords must not lock the application out.
const MOST_TRIED: usize = 4;

impl Engine {
    /// Tries an answer at once. What was found comes back with the answer in it and with the questions that are left.
    ///
    /// # Errors
    /// `unknown_question`; `file_missing`, `no_password_in_file`, `setting_missing`, `auth_failed` and what else is wrong with the answer.
    pub fn try_answer(&self, found: &Found, key: &str, answer: &str) -> Result<Found> {
        let mut found = found.clone();
        if let Some(file) = key.strip_prefix(FILE) {
            let chosen = found.folder.join(answer.trim());
            if !chosen.is_file() {
                return Err(Error::usage("file_missing", format!("There is no file {}.", chosen.display()))
                    .remedy("Choose the file in which the application keeps its settings."));
            }
            found.profile = with_file(&found.profile, file, &chosen)?;
            let profile = parse(&found)?;
            for store in postgres_stores(&profile).filter(|it| missing_file(it, &found.folder).is_some()) {
                store.endpoint(&reader(&found.folder))?;
            }
        } else if let Some(store) = key.strip_prefix(PASSWORD) {
            found.passwords.retain(|it| it.0 != store);
            found.passwords.push((store.to_owned(), Zeroizing::new(answer.to_owned())));
            self.connect(&found, store)?;
        } else if let Some(store) = key.strip_prefix(PASSWORD_FILE) {
            self.try_password_file(&mut found, store, answer.trim())?;
        } else {
            return Err(Error::usage("unknown_question", "That was not asked.").remedy("Begin again."));
        }
        found.questions = self.questions(&found)?;
        Ok(found)
    }

    /// Tries every password that a file may hold; the first that the database accepts is kept.
    fn try_password_file(&self, found: &mut Found, store: &str, file: &str) -> Result<()> {
        let path = found.folder.join(file);
        let mut refused = Error::usage("no_password_in_file", format!("There is no password in {}.", path.display()))
            .remedy("Choose the file in which it stands, or enter the password itself.");
        for password in passwords_in(&small_text(&path)?) {
            found.passwords.retain(|it| it.0 != store);
            found.passwords.push((store.to_owned(), password));
            match self.connect(found, store) {
                Err(error) if error.class == "auth_failed" => refused = error,
                tried => return tried,
            }
        }
        Err(refused)
    }

    /// What is left to ask.
    pub(super) fn questions(&self, found: &Found) -> Result<Vec<AskedView>> {
        let profile = parse(found)?;
        let app = &profile.application.name;
        let mut asked: Vec<AskedView> = Vec::new();
        for store in postgres_stores(&profile) {
            if let Some((file, why)) = missing_file(store, &found.folder) {
                let key = format!("{FILE}{file}");
                if asked.iter().all(|it| it.key != key) {
                    asked.push(AskedView {
                        key,
                        kind: AskedKind::File,
                        label: format!("Where are the settings of {app}?"),
                        why: format!("They say where its database is. {why}"),
                        usual_place: Some(found.folder.join(&file).display().to_string()),
                        value: None,
                    });
                }
            } else if self.connect(found, &store.name).is_err_and(|it| it.class == "auth_failed") {
                asked.push(AskedView {
                    key: format!("{PASSWORD}{}", store.name),
                    kind: AskedKind::Password,
                    label: format!("What is the password of {app}’s database?"),
                    why: "The database does not accept the one in the settings. It is kept in a file that only you can read.".to_owned(),
                    usual_place: store.connection.references().find_map(|(_, it)| it.file()).map(|it| it.under(&found.folder).display().to_string()),
                    value: None,
                });
            }
        }
        Ok(asked)
    }

    /// Asks the database of a store for something small, with the passwords that were answered.
    fn connect(&self, found: &Found, store: &str) -> Result<()> {
        let scratch = tempfile::Builder::new()
            .prefix("found-")
            .tempdir_in(self.home.root())
            .map_err(|cause| Error::io("write", self.home.root(), &cause))?;
        let mut text = found.profile.clone();
        for (store, password) in &found.passwords {
            let file = scratch.path().join(store);
            keep_password(&file, password)?;
            text = with_passfile(&text, store, &file)?;
        }
        let installation = Installation {
            name: "found".parse()?,
            folder: found.folder.clone(),
            application: found.application.clone(),
            profile: text,
            version: None,
            added_at: self.clock.now(),
        };
        let site = self.site(&installation)?;
        match site.stores.iter().find(|it| it.name() == store) {
            Some(store) => store.size(&Silent).map(drop),
            None => Err(Error::usage("unknown_question", "That was not asked.").remedy("Begin again.")),
        }
    }
}

/// The text of a file that a person chose, where it is small enough to be one of settings.
fn small_text(path: &Path) -> Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::new());
    let read = std::fs::File::open(path).and_then(|file| file.take(LARGEST).read_to_string(&mut text));
    match read {
        Ok(_) => Ok(text),
        Err(cause) if cause.kind() == std::io::ErrorKind::InvalidData => Ok(Zeroizing::default()),
        Err(cause) => Err(Error::io("read", path, &cause)),
    }
}

/// The passwords that a file may hold: the last field of the lines of a passfile, the settings whose names say so, or
/// the only line that there is.
fn passwords_in(text: &str) -> Vec<Zeroizing<String>> {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|it| !it.is_empty() && !it.starts_with('#')).collect();
    let mut all = Vec::new();
    if let [only] = lines[..] {
        all.push(Zeroizing::new(only.to_owned()));
    }
    for line in lines {
        let guarded = line.replace(r"\\", "\0").replace(r"\:", "\u{1}");
        if let [_, _, _, _, password] = guarded.split(':').collect::<Vec<_>>()[..] {
            all.push(Zeroizing::new(password.replace('\u{1}', ":").replace('\0', r"\")));
        }
        let Some((key, value)) = line.trim_start_matches("export ").split_once(['=', ':']) else { continue };
        let value = value.trim().trim_matches(['"', '\'']);
        if ["PASS", "PWD", "SECRET"].iter().any(|it| key.to_uppercase().contains(it)) && !value.is_empty() {
            all.push(Zeroizing::new(value.to_owned()));
        }
    }
    all.truncate(MOST_TRIED);
    all
}

fn parse(found: &Found) -> Result<Profile> {
    Profile::parse(&found.profile).map_err(|mistakes| profiles::invalid(&found.application, &mistakes))
}

fn postgres_stores(profile: &Profile) -> impl Iterator<Item = &PostgresStore> {
    profile.stores.iter().filter_map(|it| match it {
        Store::Postgres(it) => Some(it),
        _ => None,
    })
}

/// The file without which it is not known where a database is, and why.
fn missing_file(store: &PostgresStore, folder: &Path) -> Option<(String, String)> {
    let error = store.endpoint(&reader(folder)).err()?;
    let file = store.connection.references().find_map(|(_, it)| it.file())?;
    Some((file.as_str().to_owned(), error.message))
}

/// Writes a password so that only this user can read it, as PostgreSQL's own tools read it too.
pub(super) fn keep_password(file: &Path, password: &str) -> Result<()> {
    if let Some(folder) = file.parent() {
        make_private_dir(folder)?;
    }
    let escaped = Zeroizing::new(password.replace('\\', r"\\").replace(':', r"\:"));
    durable::write(file, format!("*:*:*:*:{}\n", *escaped).as_bytes())
}

/// The profile with another file in the place of one that it names.
fn with_file(profile: &str, named: &str, chosen: &Path) -> Result<String> {
    fn replace(value: &mut Value, named: &str, chosen: &str) {
        match value {
            Value::Table(table) => {
                for (key, value) in table.iter_mut() {
                    match value {
                        Value::String(text) if (key == "file" || key == "env_file") && text == named => {
                            chosen.clone_into(text);
                        }
                        other => replace(other, named, chosen),
                    }
                }
            }
            Value::Array(all) => all.iter_mut().for_each(|it| replace(it, named, chosen)),
            _ => {}
        }
    }
    let chosen = chosen.display().to_string();
    changed(profile, |table| {
        // Settings that an update compares are those in the application's folder.
        if let Some(settings) = table.get_mut("settings").and_then(Value::as_array_mut) {
            settings.retain(|it| it.get("file").and_then(Value::as_str) != Some(named));
        }
        for (_, value) in table.iter_mut() {
            replace(value, named, &chosen);
        }
    })
}

/// The profile with the password of a store in a file of its own.
pub(super) fn with_passfile(profile: &str, store: &str, file: &Path) -> Result<String> {
    let mut reference = Table::new();
    reference.insert("passfile".to_owned(), Value::String(file.display().to_string()));
    changed(profile, |table| {
        let stores = table.get_mut("stores").and_then(Value::as_array_mut).into_iter().flatten();
        for it in
            stores.filter_map(Value::as_table_mut).filter(|it| it.get("name").and_then(Value::as_str) == Some(store))
        {
            it.insert("password".to_owned(), Value::Table(reference.clone()));
        }
    })
}

/// The profile under the name that a person gave the application.
pub(super) fn with_title(profile: &str, title: &str) -> Result<String> {
    changed(profile, |table| {
        if let Some(application) = table.get_mut("application").and_then(Value::as_table_mut) {
            application.insert("name".to_owned(), Value::String(title.to_owned()));
        }
    })
}

/// The profile with another rule about its releases.
pub(in crate::engine) fn with_release_rule(profile: &str, key: &str, value: &str) -> Result<String> {
    changed(profile, |table| {
        if let Some(releases) = table.get_mut("releases").and_then(Value::as_table_mut) {
            releases.insert(key.to_owned(), Value::String(value.to_owned()));
        }
    })
}

fn changed(profile: &str, change: impl FnOnce(&mut Table)) -> Result<String> {
    let bug = |cause: &dyn std::error::Error| Error::bug("profile", "A profile could not be changed.").because(cause);
    let mut table: Table = profile.parse().map_err(|cause: toml::de::Error| bug(&cause))?;
    change(&mut table);
    toml::to_string(&table).map_err(|cause| bug(&cause))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_found_in_the_files_in_which_people_keep_one() {
        let found = |text: &str| passwords_in(text).iter().map(|it| it.to_string()).collect::<Vec<_>>();
        assert_eq!(found("s3cret\n"), ["s3cret"]);
        assert_eq!(found("localhost:5432:shop:shop:a\\:b\\\\c\n*:*:*:*:other\n"), ["a:b\\c", "other"]);
        assert_eq!(found("# ours\nDB_HOST=localhost\nexport DB_PASSWORD=\"two words\"\n"), ["two words"]);
        assert_eq!(found("db:\n  host: here\n  password: deep\n"), ["deep"]);
        assert_eq!(found("DB_HOST=localhost\nDB_PORT=5432\n"), [""; 0]);
        assert_eq!(found(&"PASSWORD=x\n".repeat(9)).len(), MOST_TRIED);
    }
}
