//! A command of a profile, made ready to run for one release of one installation.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::Variables;
use crate::error::{Error, Result};
use crate::model::profile::{
    CommandLine, Driver, EnvFile, FilePath, InsidePath, Placeholder, Profile, Reference, Run, Template,
};
use crate::ports::Invocation;
use crate::secrets::{Secret, keychain};

/// A release of an installation.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The installation folder.
    pub dir: &'a Path,
    /// The version of the release.
    pub version: &'a str,
    /// The folder of the release.
    pub release: &'a Path,
}

/// The command with its holes filled, the settings that belong to it and `variables` over them. It runs in the
/// installation folder or where the driver says, as the owner of the installation folder.
///
/// # Errors
/// Where its settings cannot be read.
pub fn invocation(
    profile: &Profile,
    place: Place<'_>,
    command: &CommandLine,
    variables: &Variables,
) -> Result<Invocation> {
    prepare(&Usual::of(profile), place, command, variables)
}

/// Reads files that a profile names, for looking up what it refers to.
///
/// # Errors
/// The function answers with what the disk answered.
pub fn reader(dir: &Path) -> impl Fn(&FilePath) -> Result<String> + Send + Sync + use<> {
    let dir = dir.to_owned();
    move |file| {
        let path = file.under(&dir);
        fs::read_to_string(&path).map_err(|cause| Error::io("read", &path, &cause))
    }
}

/// The secret that a profile refers to, wherever it stands.
///
/// # Errors
/// What the disk or the keychain answers; `setting_missing`; `variable_missing`.
pub fn secret(reference: &Reference, dir: &Path) -> Result<Secret> {
    let text = match reference {
        Reference::Keychain(name) => return keychain::find(name),
        Reference::Variable(name) => std::env::var(name).ok().filter(|it| !it.trim().is_empty()).ok_or_else(|| {
            Error::refused("variable_missing", format!("There is no variable {name} where Liftlock was started."))
                .remedy("Set it there. A timer, the tray and another terminal have variables of their own: let the profile name a file (token = { file = \"…\", key = \"…\" }) or the keychain (token = { keychain = \"…\" }) instead.")
        })?,
        Reference::Value(_) | Reference::Env { .. } | Reference::Passfile(_) => reference.lookup(&reader(dir))?,
    };
    Ok(Secret::new(text.trim()))
}

/// What holds for commands that say nothing else.
#[derive(Debug, Clone)]
pub(super) struct Usual {
    /// Their settings: those of the first component that has some.
    settings: Option<FilePath>,
    /// The folder of the release in which they run; the installation folder where there is none.
    work_in: Option<InsidePath>,
}

impl Usual {
    pub(super) fn of(profile: &Profile) -> Self {
        let settings = profile.components.iter().find_map(|it| match &it.run {
            Run::Command(command) => command.env_file.clone(),
            Run::Unit { .. } | Run::Service { .. } => None,
        });
        let work_in = match &profile.driver {
            Driver::Native(layout) => layout.work_in.clone(),
            Driver::Compose(_) => None,
        };
        Self { settings, work_in }
    }
}

pub(super) fn prepare(
    usual: &Usual,
    place: Place<'_>,
    command: &CommandLine,
    variables: &Variables,
) -> Result<Invocation> {
    let words = words_of(command, place)?;
    let (program, args) = words
        .split_first()
        .ok_or_else(|| Error::bug("empty_command", "A command of the profile is empty although it was checked."))?;
    let dir = usual.work_in.as_ref().map_or_else(|| place.dir.to_owned(), |it| it.under(place.release));
    let mut invocation = Invocation::new(PathBuf::from(program)).args(args).dir(dir);
    if let Some(file) = command.env_file.as_ref().or(usual.settings.as_ref()) {
        let text = reader(place.dir)(file)?;
        for (key, value) in EnvFile::parse(&text).entries() {
            invocation = invocation.env(key, value);
        }
    }
    for (key, value) in variables {
        invocation = invocation.env(key, value);
    }
    Ok(match owner_to_become(place.dir)? {
        // Its own home is not ours to guess, and root's is none of its business.
        Some((uid, gid)) => invocation.user(uid, gid).env("HOME", place.dir),
        None => invocation,
    })
}

/// Program and arguments, with the holes filled.
pub(crate) fn words_of(command: &CommandLine, place: Place<'_>) -> Result<Vec<String>> {
    filled(&command.command, place)
}

/// The same of words alone.
pub(super) fn filled(words: &[Template], place: Place<'_>) -> Result<Vec<String>> {
    let (dir, release) = (place.dir.to_string_lossy(), place.release.to_string_lossy());
    let known = [(Placeholder::Dir, &*dir), (Placeholder::Release, &*release), (Placeholder::Version, place.version)];
    words.iter().map(|word| word.fill(&known)).collect()
}

/// The owner of the installation, where Liftlock runs as root and the owner is somebody else: an application
/// must not become root by being upgraded.
#[cfg(unix)]
pub(super) fn owner_to_become(dir: &Path) -> Result<Option<(u32, u32)>> {
    use std::os::unix::fs::MetadataExt;

    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let meta = fs::metadata(dir).map_err(|cause| Error::io("read", dir, &cause))?;
    Ok((meta.uid() != 0).then(|| (meta.uid(), meta.gid())))
}

#[cfg(not(unix))]
pub(super) fn owner_to_become(_dir: &Path) -> Result<Option<(u32, u32)>> {
    Ok(None)
}
