//! Which release runs: one line of a settings file, or an override file of ours.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::drivers::settings;
use crate::durable;
use crate::error::{Error, Result};
use crate::model::finding::ChangedLine;
use crate::model::profile::{ComposeDriver, EnvFile, Pin};

/// The first line of an override file of ours; one without it is not ours.
const OURS: &str = "# Made by Liftlock: it says which version runs. Docker Compose reads it by itself.\n";
const VERSION: &str = "# version ";

/// The version that is said; `None` where nobody has said one yet.
pub(super) fn said(dir: &Path, layout: &ComposeDriver) -> Result<Option<String>> {
    let Some(pin) = &layout.pin else {
        let text = fs::read_to_string(override_file(dir, layout)).unwrap_or_default();
        let line = text.strip_prefix(OURS).and_then(|it| it.lines().next()).and_then(|it| it.strip_prefix(VERSION));
        return Ok(line.map(str::to_owned));
    };
    let file = pin.file.under(dir);
    let text = fs::read_to_string(&file).map_err(|cause| Error::io("read", &file, &cause))?;
    let settings = EnvFile::parse(&text);
    let value = settings.entries().filter(|it| it.0 == pin.key).last().map(|it| it.1.trim().to_owned());
    match value {
        Some(version) if !version.is_empty() => Ok(Some(version)),
        _ => Err(Error::refused("setting_missing", format!("There is no setting {} in {}.", pin.key, pin.file))
            .remedy("Write into it which version runs, then try again.")),
    }
}

/// Says that this version is to run, by one atomic act.
/// `images` is what an override file says where no line does.
pub(super) fn write(
    dir: &Path,
    layout: &ComposeDriver,
    version: &str,
    images: impl FnOnce() -> Result<String>,
) -> Result<()> {
    match &layout.pin {
        Some(pin) => write_line(dir, pin, version),
        None => write_override(dir, layout, Some(version), &images()?),
    }
}

/// Whether what says the version can be changed.
pub(super) fn can_be_changed(dir: &Path, layout: &ComposeDriver) -> Result<()> {
    said(dir, layout)?;
    if layout.pin.is_some() { Ok(()) } else { may_be_written(&override_file(dir, layout), layout.is_built()) }
}

/// The line that will be written, for whoever confirms it.
pub(super) fn change(dir: &Path, layout: &ComposeDriver, target: &str) -> Result<Option<ChangedLine>> {
    let Some(pin) = &layout.pin else { return Ok(None) };
    let (key, now) = (&pin.key, said(dir, layout)?);
    Ok(now.filter(|it| it != target).map(|now| ChangedLine {
        file: pin.file.as_str().to_owned(),
        before: Some(format!("{key}={now}")),
        after: format!("{key}={target}"),
    }))
}

fn write_line(dir: &Path, pin: &Pin, version: &str) -> Result<()> {
    let file = pin.file.under(dir);
    // Through a link to the file itself: what points to it goes on doing so.
    let file = file.canonicalize().map_err(|cause| Error::io("read", &file, &cause))?;
    let text = fs::read_to_string(&file).map_err(|cause| Error::io("read", &file, &cause))?;
    let new = with_line(&text, &pin.key, version).ok_or_else(|| {
        Error::failed("setting_missing", format!("There is no setting {} in {}.", pin.key, pin.file))
            .remedy("Write into it which version runs, then try again.")
    })?;
    if new == text {
        return durable::fsync_dir(durable::parent(&file)?);
    }
    settings::rewrite(&file, &new)
}

/// The text with another value in the last line that sets `key`; all else stays byte for byte.
fn with_line(text: &str, key: &str, value: &str) -> Option<String> {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let at = lines.iter().rposition(|line| key_of(line) == Some(key))?;
    let line = lines[at];
    let (before, after) = line.split_once('=')?;
    let blank = after.len() - after.trim_start_matches([' ', '\t']).len();
    let (blank, old) = after.split_at(blank);
    let rest = match old.chars().next() {
        Some(quote @ ('"' | '\'')) => {
            let end = old[1..].find(quote).map_or(old.trim_end().len(), |it| it + 2);
            return Some(joined(&lines, at, &format!("{before}={blank}{quote}{value}{quote}{}", &old[end..])));
        }
        _ => {
            let end = old.find(" #").unwrap_or_else(|| old.trim_end().len());
            &old[old[..end].trim_end().len()..]
        }
    };
    Some(joined(&lines, at, &format!("{before}={blank}{value}{rest}")))
}

fn joined(lines: &[&str], at: usize, line: &str) -> String {
    lines.iter().enumerate().map(|(number, old)| if number == at { line } else { old }).collect()
}

fn key_of(line: &str) -> Option<&str> {
    let line = line.trim_start_matches('\u{feff}').trim_start();
    if line.starts_with('#') {
        return None;
    }
    let key = line.split_once('=')?.0.trim();
    Some(key.strip_prefix("export ").unwrap_or(key).trim())
}

/// The override file that Docker Compose finds beside the compose file by itself.
pub(super) fn override_file(dir: &Path, layout: &ComposeDriver) -> PathBuf {
    let first = layout.files.first().map(|it| it.as_str().to_owned());
    let old = first.unwrap_or_else(|| {
        let there = ["compose.yaml", "compose.yml"].iter().any(|it| dir.join(it).is_file());
        if there { "compose.yaml" } else { "docker-compose.yml" }.to_owned()
    });
    dir.join(if old.contains("docker-compose") { "docker-compose.override.yml" } else { "compose.override.yaml" })
}

/// Writes the override file of ours. Without a version it says nothing of images: what runs is what was built from the checkout.
pub(super) fn write_override(dir: &Path, layout: &ComposeDriver, version: Option<&str>, says: &str) -> Result<()> {
    let file = override_file(dir, layout);
    may_be_written(&file, layout.is_built())?;
    let version = version.map(|it| format!("{VERSION}{it}\n")).unwrap_or_default();
    let text = format!("{OURS}{version}{says}");
    durable::write(&file, text.as_bytes())
}

/// Takes the override file of ours away, where there is one.
pub(super) fn remove_override(dir: &Path, layout: &ComposeDriver) -> Result<()> {
    let file = override_file(dir, layout);
    may_be_written(&file, layout.is_built())?;
    match fs::remove_file(&file) {
        Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => Err(Error::io("remove", &file, &cause)),
        _ => durable::fsync_dir(dir),
    }
}

/// Whether an override file is ours to write.
fn may_be_written(file: &Path, is_built: bool) -> Result<()> {
    match fs::read_to_string(file) {
        Ok(text) if !text.starts_with(OURS) => Err(Error::refused(
            "override_taken",
            format!("{} is there already, and Liftlock never writes into files of yours.", file.display()),
        )
        .remedy(if is_built {
            "Liftlock needs a file of this name to say which images run. Put what yours says into settings in .env, \
             move it away, then try again."
        } else {
            "Let the compose file take the version from a variable in .env, and name that in “pin” of the profile."
        })),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_value_of_the_line_changes() {
        for (before, after) in [
            ("A=1\nV=1.0.0\nB=2\n", "A=1\nV=1.1.0\nB=2\n"),
            ("V=1.0.0", "V=1.1.0"),
            ("export V = \"1.0.0\" # which\r\n", "export V = \"1.1.0\" # which\r\n"),
            ("V='1.0.0'\n", "V='1.1.0'\n"),
            ("# V=0\nV=1.0.0 # V=2\n", "# V=0\nV=1.1.0 # V=2\n"),
            ("V=1\nV=1.0.0\r\n", "V=1\nV=1.1.0\r\n"),
            ("V=\nVV=3\n", "V=1.1.0\nVV=3\n"),
        ] {
            assert_eq!(with_line(before, "V", "1.1.0").as_deref(), Some(after), "{before:?}");
        }
        assert_eq!(with_line("#V=1\nVV=2\n", "V", "1.1.0"), None);
    }
}
