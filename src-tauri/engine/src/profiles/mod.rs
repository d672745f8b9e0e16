//! Where profiles come from: those that are built in, and files.
//!
//! What they say is checked in [`crate::model::profile`]. Deliberately absent: profiles from the network.

use std::{fs::File, io::Read, path::Path};

use crate::error::{Error, Result};
use crate::model::profile::{MAX_BYTES, Mistake, Profile};

/// A profile that is part of Liftlock: its id and its text.
pub type BuiltIn = (&'static str, &'static str);

const BUILT_IN: &[BuiltIn] = &[
    ("corner-shop", include_str!("../../profiles/corner-shop.toml")),
    ("filaops", include_str!("../../profiles/filaops.toml")),
    ("filaops-native", include_str!("../../profiles/filaops-native.toml")),
];

/// The profiles that are part of Liftlock, each with its id and its text.
pub fn built_in() -> &'static [BuiltIn] {
    BUILT_IN
}

/// The profile of that id, or of the file at that path. What holds a slash or ends in `.toml` is a path.
///
/// # Errors
/// As [`text_of`]; `profile_invalid` with every mistake as a line of the details.
pub fn resolve(name_or_path: &str) -> Result<Profile> {
    let text = text_of(name_or_path)?;
    Profile::parse(&text).map_err(|mistakes| invalid(name_or_path, &mistakes))
}

/// The text of the profile of that id, or of the file at that path, unchecked: for `profile check`.
///
/// # Errors
/// `profile_unknown`: there is none of that id; `profile_unreadable`: the file holds no text, or far too much;
/// what the file system says.
pub fn text_of(name_or_path: &str) -> Result<String> {
    if let Some((_, text)) = BUILT_IN.iter().find(|(id, _)| *id == name_or_path) {
        return Ok((*text).to_owned());
    }
    if !name_or_path.contains(['/', '\\']) && !name_or_path.ends_with(".toml") {
        let ids: Vec<&str> = BUILT_IN.iter().map(|(id, _)| *id).collect();
        let message = format!("There is no built-in profile “{}”.", name_or_path.escape_debug());
        return Err(Error::usage("profile_unknown", message)
            .remedy(format!("Built in: {}. Or give the path of a profile, ending in .toml.", ids.join(", "))));
    }
    read(Path::new(name_or_path))
}

fn read(path: &Path) -> Result<String> {
    let unreadable = |why: &str| {
        Error::usage("profile_unreadable", format!("{} {why}.", path.display()))
            .remedy("Check that this file is a profile: text in TOML, as docs/profiles.md describes it.")
    };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|cause| Error::io("read", path, &cause))?;
    // One byte more than allowed tells a file that is too long, whatever its length is said to be.
    file.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(|cause| Error::io("read", path, &cause))?;
    if bytes.len() > MAX_BYTES {
        return Err(unreadable("is too long for a profile"));
    }
    String::from_utf8(bytes).map_err(|_| unreadable("is not text in UTF-8"))
}

/// The mistakes of a profile as one error.
pub fn invalid(name: &str, mistakes: &[Mistake]) -> Error {
    let count = match mistakes.len() {
        1 => "1 mistake".to_owned(),
        many => format!("{many} mistakes"),
    };
    let error = Error::usage("profile_invalid", format!("The profile “{}” has {count}.", name.escape_debug()))
        .remedy(format!("Correct them, then check with: liftlock profile check {}", name.escape_debug()));
    mistakes.iter().fold(error, |error, mistake| error.detail(mistake.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_profile_is_good_and_bears_its_id() {
        for (id, text) in built_in() {
            let profile = resolve(id).unwrap();
            assert_eq!(profile.application.id, *id);
            assert_eq!(profile.source, *text, "the text is kept byte for byte");
            assert_eq!(profile.warnings, [], "{id} forgoes no promise");
            assert!(profile.can_rehearse());
        }
    }

    #[test]
    fn an_unknown_id_names_those_that_are_there() {
        let error = resolve("corner-shpo").unwrap_err();
        assert_eq!((error.class.as_ref(), error.exit_code()), ("profile_unknown", 2));
        assert!(error.remedy.contains("corner-shop"), "{error:?}");
    }

    #[test]
    fn a_file_is_read_and_its_mistakes_are_told_one_by_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("shop.toml");
        let name = path.to_str().unwrap();
        assert_eq!(resolve(name).unwrap_err().class, "not_found");

        std::fs::write(&path, built_in()[0].1).unwrap();
        assert_eq!(resolve(name).unwrap().application.name, "Corner Shop");

        std::fs::write(&path, built_in()[0].1.replace("tag =", "tagg =").replace("[limits]", "[limit]")).unwrap();
        let error = resolve(name).unwrap_err();
        assert_eq!(error.class, "profile_invalid");
        assert_eq!(error.details.len(), 2, "{error:?}");

        std::fs::write(&path, [0xff, 0xfe]).unwrap();
        assert_eq!(resolve(name).unwrap_err().class, "profile_unreadable");
        std::fs::write(&path, "#".repeat(MAX_BYTES + 1)).unwrap();
        assert_eq!(resolve(name).unwrap_err().class, "profile_unreadable");
    }
}
