//! Settings that a release needs and that are not there yet: asked for before anything begins, in words that people
//! understand, and kept apart until the update writes them into their file.

use std::fs;

use crate::drivers::settings::{self, MissingSetting};
use crate::error::{Error, Result};
use crate::model::finding::{ChangedLine, Finding, Severity};
use crate::model::profile::{AskedSetting, EnvFile, Profile};
use crate::secrets::Secret;
use crate::site::Site;
use crate::state::given::Given;

/// The class of what is found where nothing was said of a setting yet.
pub const FINDING: &str = "setting_asked";
/// What stands on a screen in the place of a secret.
const HIDDEN: &str = "••••••••";

/// A setting that is asked for.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The file in which it will stand.
    pub file: String,
    /// Its name in the file.
    pub key: String,
    /// What people call it, where the profile says so.
    pub name: Option<String>,
    /// Why it is needed.
    pub why: Option<String>,
    /// What it may be.
    pub default: Option<String>,
    /// Whether it can be made up.
    pub can_generate: bool,
    /// Whether it is hidden.
    pub is_secret: bool,
    /// What was said.
    pub value: Option<Secret>,
}

impl Asked {
    /// What keeps an update from beginning for as long as nothing was said.
    pub fn finding(&self, site: &Site) -> Option<Finding> {
        if self.value.is_some() {
            return None;
        }
        let (of, key) = (&site.installation.name, &self.key);
        let named = self.name.as_ref().map(|it| format!(" ({it})")).unwrap_or_default();
        let why = self.why.as_ref().map(|it| format!(": {}", it.trim_end_matches('.'))).unwrap_or_default();
        let how = match (&self.default, self.is_secret) {
            _ if self.can_generate => format!("`liftlock answer {of} --generate {key}`"),
            (Some(default), _) => format!("`liftlock answer {of} --set {}`", settings::line(key, default)),
            (None, true) => format!("`liftlock answer {of} --set-from {key}=file:/path/to/it`"),
            (None, false) => format!("`liftlock answer {of} --set {key}=…`"),
        };
        Some(Finding::new(
            Severity::Stop,
            FINDING,
            format!("The new version needs the setting {key}{named}, which is not set{why}."),
            format!(
                "Say what it is to be on the page of the update, or with {how}. Liftlock adds the line to {}.",
                self.file
            ),
        ))
    }

    /// The line that is added, where something was said.
    pub fn line(&self) -> Option<ChangedLine> {
        let value = self.value.as_ref()?;
        let after = match self.is_secret {
            true => format!("{}={HIDDEN}", self.key),
            false => settings::line(&self.key, value.expose()),
        };
        Some(ChangedLine { file: self.file.clone(), before: None, after })
    }
}

fn of_a_stack(asked: &Asked) -> Finding {
    let why = asked.why.as_ref().map(|it| format!(": {}", it.trim_end_matches('.'))).unwrap_or_default();
    Finding::new(
        Severity::Stop,
        "setting_missing",
        format!("The new version needs the setting {}, which is not set{why}.", asked.key),
        format!("Add it to {} and to the stack, deploy the stack again, then try again.", asked.file),
    )
}

/// Whether what is said of a setting is hidden: where the profile says so, and where nobody says anything but its name
/// speaks of a secret.
pub fn is_secret(profile: &Profile, key: &str) -> bool {
    match declared(profile, key) {
        Some(it) => it.secret || it.generate,
        None => key.to_uppercase().split('_').any(|part| {
            ["PASSWORD", "PASSWD", "PASSPHRASE", "SECRET", "TOKEN"].iter().any(|it| part.ends_with(it))
                || matches!(part, "PASS" | "KEY" | "SALT" | "CREDENTIALS")
        }),
    }
}

/// What the profile says of a setting.
pub fn declared<'p>(profile: &'p Profile, key: &str) -> Option<&'p AskedSetting> {
    profile.settings.iter().find_map(|it| it.asks_for(key))
}

impl Site {
    /// What was said of settings.
    pub fn given(&self) -> Given {
        Given::at(self.home.given(&self.installation.name))
    }

    /// What a release whose files are here changes around this installation, and what it asks for. Nothing where they are
    /// not here yet.
    ///
    /// # Errors
    /// Files cannot be read; Docker Compose cannot be asked.
    pub fn asks(&self, version: &str) -> Result<(Vec<Finding>, Vec<Asked>)> {
        let difference = self.driver.differences(version)?;
        let mut said = self.given().all()?;
        let mut asked: Vec<Asked> = Vec::new();
        let compared = difference.questions.into_iter().map(|it| (".env".to_owned(), it.name, it.why, it.default));
        let missing = self.missing_settings(version)?.into_iter().map(|(file, it)| {
            let MissingSetting { key, comment, example } = it;
            (file, key, Some(comment), Some(example))
        });
        for (file, key, why, default) in compared.chain(missing) {
            if asked.iter().any(|it| it.file == file && it.key == key) {
                continue;
            }
            let is_secret = is_secret(&self.profile, &key);
            let declared = declared(&self.profile, &key);
            let default = declared.and_then(|it| it.default.clone()).or(default);
            asked.push(Asked {
                name: declared.map(|it| it.name.clone()),
                why: declared.and_then(|it| it.why.clone()).or(why).filter(|it| !it.is_empty()),
                // What everybody can read in an example is no secret.
                default: default.filter(|it| !it.is_empty() && !is_secret),
                can_generate: declared.is_some_and(|it| it.generate),
                value: said.remove(&key),
                is_secret,
                file,
                key,
            });
        }
        let mut found = difference.findings;
        if self.driver.rolls_out_by_itself() {
            // What a stack runs with was fixed when it was deployed: a line in a file would not reach it.
            found.extend(asked.drain(..).map(|it| of_a_stack(&it)));
        }
        Ok((found, asked))
    }

    /// Forgets what was said of settings that stand in their files by now.
    ///
    /// # Errors
    /// What the disk answered.
    pub fn forget_what_is_set(&self) -> Result<()> {
        let said = self.given().all()?;
        let folder = &self.installation.folder;
        let files = self.profile.settings.iter().map(|it| it.file.under(folder)).chain([folder.join(".env")]);
        let files: Vec<EnvFile> =
            files.filter_map(|it| fs::read_to_string(it).ok()).map(|it| EnvFile::parse(&it)).collect();
        let is_set = |key: &str| files.iter().any(|it| it.value(key).is_some_and(|it| !it.is_empty()));
        let over: Vec<_> = said.keys().filter(|it| is_set(it)).map(|it| (it.as_str(), None)).collect();
        if over.is_empty() { Ok(()) } else { self.given().say(&over) }
    }

    /// Settings that a release's example names and the user's file does not have, with the file.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn missing_settings(&self, version: &str) -> Result<Vec<(String, MissingSetting)>> {
        let Some(release) = self.driver.source_folder(version)? else { return Ok(Vec::new()) };
        let mut missing = Vec::new();
        for declared in &self.profile.settings {
            let Some(example) = &declared.example else { continue };
            let example = example.under(&release);
            if !example.exists() {
                continue;
            }
            let example = fs::read_to_string(&example).map_err(|cause| Error::io("read", &example, &cause))?;
            let path = declared.file.under(&self.installation.folder);
            let actual = fs::read_to_string(&path).map_err(|cause| Error::io("read", &path, &cause))?;
            let found = settings::missing(&example, &actual).into_iter();
            missing.extend(found.map(|it| (declared.file.as_str().to_owned(), it)));
        }
        Ok(missing)
    }
}
