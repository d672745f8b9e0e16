//! Settings that a release needs and the user's files do not have: what was said of them is given to the release's own
//! commands from the rehearsal on, and stands in the file once the application is stopped.
//!
//! Lines are only ever added, behind all that is there: taking them out again leaves the file byte for byte as it was.
//! What was said may be a secret, so no record of a step holds it.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::digest::sha256;
use crate::drivers::settings::{rewrite, with_lines, without_lines};
use crate::error::{Error, Result};
use crate::model::finding::Severity;
use crate::model::profile::EnvFile;
use crate::model::state::State;
use crate::state::journal::StepKey;
use crate::steps::{Observed, Step, World, key, parse, record};

/// A setting that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Setting {
    file: String,
    key: String,
}

/// A file before lines are added to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Before {
    file: String,
    /// The settings that are added.
    keys: Vec<String>,
    /// How long it was, and its digest; none where there was none.
    was: Option<(u64, String)>,
}

impl World<'_> {
    /// What was said of the settings that the release asks for. Values may be secrets.
    ///
    /// # Errors
    /// `setting_asked` where it is not known any more.
    pub(crate) fn given(&self) -> Result<Vec<(String, String)>> {
        let asked = self.asked()?;
        if asked.is_empty() {
            return Ok(Vec::new());
        }
        let said = self.site.given().all()?;
        asked.into_iter().map(|it| Ok((it.key.clone(), value(&said, &it.key)?))).collect()
    }

    fn asked(&self) -> Result<Vec<Setting>> {
        let answer = self.answer(&key("check_settings")).unwrap_or_default();
        if answer["asked"].is_null() { Ok(Vec::new()) } else { parse(&answer["asked"]) }
    }

    fn settings_file(&self, file: &str) -> PathBuf {
        self.site.installation.folder.join(file)
    }
}

fn value(said: &std::collections::BTreeMap<String, crate::secrets::Secret>, key: &str) -> Result<String> {
    said.get(key).map(|it| it.expose().to_owned()).ok_or_else(|| {
        Error::failed("setting_asked", format!("What was said of the setting {key} is not there any more."))
            .remedy("Look at the update again: it is asked for anew.")
    })
}

/// The text of a file; nothing where there is none.
fn text_of(file: &Path) -> Result<Option<String>> {
    match fs::read_to_string(file) {
        Err(cause) if cause.kind() == ErrorKind::NotFound => Ok(None),
        text => text.map(Some).map_err(|cause| Error::io("read", file, &cause)),
    }
}

fn is_set(text: &str, key: &str) -> bool {
    EnvFile::parse(text).value(key).is_some_and(|it| !it.is_empty())
}

/// Looks whether the release needs settings that this installation does not have and nobody has said anything of.
#[derive(Debug)]
pub struct CheckSettings;

impl Step for CheckSettings {
    fn phase(&self) -> State {
        State::Downloading
    }
    fn key(&self) -> StepKey {
        key("check_settings")
    }
    fn does(&self) -> String {
        "Look whether the new version needs settings that are not there yet.".to_owned()
    }
    fn observe(&self, _world: &World<'_>, _intent: &Value) -> Result<Observed> {
        Ok(Observed::NotStarted)
    }
    fn act(&self, world: &World<'_>, _intent: &Value) -> Result<Value> {
        let checked = world.checked()?;
        world.site.forget_what_is_set()?;
        let (mut found, asked) = world.site.asks(&checked.to)?;
        world.halfway("forward", &self.key());
        found.extend(asked.iter().filter_map(|it| it.finding(world.site)));
        for finding in &found {
            world.reporter.say(&format!("{}: {} {}", finding.class, finding.message, finding.remedy));
        }
        if let Some(stop) = found.iter().find(|it| it.severity == Severity::Stop) {
            return Err(stop.to_error());
        }
        let asked: Vec<Setting> = asked.into_iter().map(|it| Setting { file: it.file, key: it.key }).collect();
        Ok(json!({ "asked": record(&asked)? }))
    }
}

/// Adds the lines to the user's files.
#[derive(Debug)]
pub struct WriteSettings;

impl Step for WriteSettings {
    fn phase(&self) -> State {
        State::Applying
    }
    fn key(&self) -> StepKey {
        key("write_settings")
    }
    fn does(&self) -> String {
        "Add the settings that the new version asked for to their file, where it did.".to_owned()
    }
    fn intent(&self, world: &World<'_>) -> Result<Value> {
        let mut files: Vec<Before> = Vec::new();
        for Setting { file, key } in world.asked()? {
            if let Some(known) = files.iter_mut().find(|it| it.file == file) {
                known.keys.push(key);
                continue;
            }
            let was = text_of(&world.settings_file(&file))?;
            let was = was.map(|it| (it.len() as u64, sha256(it.as_bytes())));
            files.push(Before { file, keys: vec![key], was });
        }
        record(&files)
    }
    fn observe(&self, _world: &World<'_>, _intent: &Value) -> Result<Observed> {
        // A file is as it was or has all its lines; those that are there are not added again.
        Ok(Observed::Partial)
    }
    fn act(&self, world: &World<'_>, intent: &Value) -> Result<Value> {
        let files: Vec<Before> = parse(intent)?;
        let said = world.site.given().all()?;
        for it in &files {
            let file = world.settings_file(&it.file);
            let text = text_of(&file)?.unwrap_or_default();
            let mut added = Vec::new();
            for key in it.keys.iter().filter(|key| !is_set(&text, key)) {
                added.push((key.as_str(), value(&said, key)?));
            }
            if !added.is_empty() {
                let added: Vec<_> = added.iter().map(|(key, value)| (*key, value.as_str())).collect();
                rewrite(&file, &with_lines(&text, &added))?;
            }
        }
        world.halfway("forward", &self.key());
        Ok(json!({ "files": files.len() }))
    }
    fn undo(&self, world: &World<'_>, intent: &Value) -> Result<()> {
        let files: Vec<Before> = parse(intent)?;
        for it in &files {
            let file = world.settings_file(&it.file);
            if let Some(text) = text_of(&file)? {
                put_back(&file, &text, it)?;
            }
        }
        world.halfway("back", &self.key());
        Ok(())
    }
}

/// Cuts off what was added. Where somebody has changed the file since, only our lines are taken out of it.
fn put_back(file: &Path, text: &str, before: &Before) -> Result<()> {
    let Some((bytes, digest)) = &before.was else {
        let left = without_lines(text, &before.keys);
        if left.trim().is_empty() {
            return fs::remove_file(file).map_err(|cause| Error::io("remove", file, &cause));
        }
        return rewrite(file, &left);
    };
    let old = usize::try_from(*bytes).ok().and_then(|it| text.get(..it)).filter(|it| sha256(it.as_bytes()) == *digest);
    let is_ours = |rest: &str| without_lines(rest, &before.keys).trim().is_empty();
    match old {
        Some(old) if old.len() == text.len() => Ok(()),
        Some(old) if is_ours(&text[old.len()..]) => rewrite(file, old),
        _ => rewrite(file, &without_lines(text, &before.keys)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn before(text: Option<&str>) -> Before {
        let was = text.map(|it| (it.len() as u64, sha256(it.as_bytes())));
        Before { file: ".env".into(), keys: vec!["KEY".into(), "CURRENCY".into()], was }
    }

    #[test]
    fn what_was_there_comes_back_byte_for_byte_and_what_was_written_since_stays() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(".env");
        let added = [("KEY", "a b"), ("CURRENCY", "EUR")];
        for old in ["A=1\n", "A=1", "A=1\r\n# end\r\n", "", "KEY=\n"] {
            let text = with_lines(old, &added);
            fs::write(&file, &text).unwrap();
            put_back(&file, &text, &before(Some(old))).unwrap();
            assert_eq!(fs::read_to_string(&file).unwrap(), old);
            // And once more: nothing is left to be done.
            put_back(&file, old, &before(Some(old))).unwrap();
            assert_eq!(fs::read_to_string(&file).unwrap(), old);
        }
        let text = format!("{}B=2\n", with_lines("A=0\n", &added).replace("A=0", "A=1"));
        put_back(&file, &text, &before(Some("A=0\n"))).unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "A=1\nB=2\n");
        put_back(&file, &with_lines("", &added), &before(None)).unwrap();
        assert!(!file.exists(), "there was none");
    }
}
