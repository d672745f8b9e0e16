//! What a person has said of settings that a release asks for, until it stands in the settings file.
//!
//! It may be a secret, so it lies in a file of its own that only this user can read: never in the state, whose rows are
//! shown, and never in an argument. It outlives the page that asked, this process and an attempt that was brought back.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use crate::durable;
use crate::error::{Error, Result};
use crate::secrets::Secret;

/// What was said, by the name of the setting.
#[derive(Debug, Clone)]
pub struct Given(PathBuf);

impl Given {
    /// What is kept in this file; nothing where there is none.
    pub fn at(file: PathBuf) -> Self {
        Self(file)
    }

    /// Everything that was said.
    ///
    /// # Errors
    /// The file is there and cannot be read.
    pub fn all(&self) -> Result<BTreeMap<String, Secret>> {
        let bytes = match fs::read(&self.0) {
            Ok(bytes) => bytes,
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
            Err(cause) => return Err(Error::io("read", &self.0, &cause)),
        };
        // What makes no sense any more is asked for again.
        let said: BTreeMap<String, String> = serde_json::from_slice(&bytes).unwrap_or_default();
        Ok(said.into_iter().map(|(key, value)| (key, Secret::new(value))).collect())
    }

    /// Remembers what is said now, in the place of what was said before; `None` forgets it.
    ///
    /// # Errors
    /// What the disk answered.
    pub fn say(&self, said: &[(&str, Option<&Secret>)]) -> Result<()> {
        let mut all = self.all()?;
        for (key, value) in said {
            match value {
                Some(value) => drop(all.insert((*key).to_owned(), (*value).clone())),
                None => drop(all.remove(*key)),
            }
        }
        if all.is_empty() {
            return self.forget();
        }
        let plain: BTreeMap<&str, &str> = all.iter().map(|(key, value)| (key.as_str(), value.expose())).collect();
        let text = serde_json::to_vec(&plain)
            .map_err(|cause| Error::bug("state_json", "A record could not be written.").because(&cause))?;
        durable::create_private_dir(durable::parent(&self.0)?)?;
        durable::write(&self.0, &text)
    }

    /// Forgets everything.
    ///
    /// # Errors
    /// What the disk answered.
    pub fn forget(&self) -> Result<()> {
        match fs::remove_file(&self.0) {
            Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => Err(Error::io("remove", &self.0, &cause)),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said_lies_in_a_private_file_until_it_is_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("given").join("shop.json");
        let given = Given::at(file.clone());
        assert!(given.all().unwrap().is_empty());
        given.say(&[("KEY", Some(&Secret::new("a word"))), ("COLOUR", Some(&Secret::new("blue")))]).unwrap();
        given.say(&[("COLOUR", None)]).unwrap();
        let all = Given::at(file.clone()).all().unwrap();
        assert_eq!(all.iter().map(|(key, it)| (key.as_str(), it.expose())).collect::<Vec<_>>(), [("KEY", "a word")]);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        }
        fs::write(&file, "half of").unwrap();
        assert!(given.all().unwrap().is_empty(), "it is asked for again");
        given.say(&[("KEY", None)]).unwrap();
        assert!(!file.exists());
        given.forget().unwrap();
    }
}
