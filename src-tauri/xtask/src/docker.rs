//! Docker's engine, its command and Compose 2, from packages: an engine is started for each test, never as a service.
//!
//! Debian 12 has no Compose 2. Its successor has, and those packages run on it beside everything else, so they are
//! taken from there: from the same mirror, pinned low, and the list is taken away again.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

use crate::{
    machine::{install, is_root},
    run::has,
};

/// Where apt reads further sources from.
const SOURCES: &str = "/etc/apt/sources.list.d/liftlock-trixie.sources";
/// What keeps every other package as it is.
const PREFERENCES: &str = "/etc/apt/preferences.d/liftlock-trixie";
/// Says whether services may be started by what is installed; ours alone, where there is none.
const POLICY: &str = "/usr/sbin/policy-rc.d";

/// Installs what is missing; answers a sentence where something was.
///
/// # Errors
/// It cannot be installed from here: the sentence says what to do.
pub(crate) fn provide() -> Result<Option<String>> {
    if is_there() {
        return Ok(None);
    }
    let missing = "missing: Docker (dockerd, docker, Compose 2)";
    if !has("apt-get") {
        bail!("{missing}. Install it with the package manager of this system, then try again.");
    }
    if !is_root() {
        bail!("{missing}. Run the task as root once, or install docker.io, docker-compose-v2 and docker-buildx.");
    }
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let is = |line: &str| release.lines().any(|it| it == line);
    let packages: Vec<String> = if is("VERSION_CODENAME=bookworm") {
        // All of one version: an older engine would refuse a newer command's words.
        ["docker.io", "docker-cli", "docker-compose", "docker-buildx"].map(|it| format!("{it}/trixie")).to_vec()
    } else if is("ID=ubuntu") {
        ["docker.io", "docker-compose-v2", "docker-buildx"].map(str::to_owned).to_vec()
    } else {
        ["docker.io", "docker-cli", "docker-compose", "docker-buildx"].map(str::to_owned).to_vec()
    };
    let mut ours = Ours::default();
    if !Path::new(POLICY).exists() {
        ours.write(POLICY, "#!/bin/sh\nexit 101\n")?;
        run_bit(POLICY)?;
    }
    if is("VERSION_CODENAME=bookworm") {
        ours.write(SOURCES, &successor(&sources()?)?)?;
        ours.write(PREFERENCES, "Package: *\nPin: release n=trixie\nPin-Priority: 90\n")?;
    }
    let named: Vec<&str> = packages.iter().map(String::as_str).collect();
    install(&named)?;
    drop(ours);
    if !is_there() {
        bail!("{} was installed, but Docker is still not to be found", named.join(" "));
    }
    Ok(Some(format!("installed {}", named.join(" "))))
}

/// Whether an engine can be started and asked. None needs to run.
fn is_there() -> bool {
    let compose = Command::new("docker").args(["compose", "version", "--short"]).stderr(Stdio::null()).output();
    let is_second = |it: &str| it.trim_start_matches('v').starts_with(|it: char| ('2'..='9').contains(&it));
    has("dockerd") && has("docker") && compose.is_ok_and(|it| is_second(&String::from_utf8_lossy(&it.stdout)))
}

/// Files that are there while something is installed.
#[derive(Debug, Default)]
struct Ours(Vec<&'static str>);

impl Ours {
    fn write(&mut self, path: &'static str, text: &str) -> Result<()> {
        self.0.push(path);
        fs::write(path, text).with_context(|| path.to_owned())
    }
}

impl Drop for Ours {
    fn drop(&mut self) {
        for path in &self.0 {
            // What was never written is not there.
            let _ = fs::remove_file(path);
        }
    }
}

#[cfg(unix)]
fn run_bit(path: &str) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;

    Ok(fs::set_permissions(path, fs::Permissions::from_mode(0o755))?)
}

#[cfg(not(unix))]
fn run_bit(_path: &str) -> Result<()> {
    Ok(())
}

/// What apt reads now.
fn sources() -> Result<String> {
    let mut files = vec![Path::new("/etc/apt/sources.list").to_owned()];
    let more = fs::read_dir("/etc/apt/sources.list.d").into_iter().flatten().flatten().map(|it| it.path());
    files.extend(more.filter(|it| it.extension().is_some_and(|it| it == "sources" || it == "list")));
    files.retain(|it| it.is_file());
    let texts: Vec<String> = files.iter().map(fs::read_to_string).collect::<std::io::Result<_>>()?;
    Ok(texts.join("\n\n"))
}

/// The source of the next release on the mirror where this one comes from.
fn successor(sources: &str) -> Result<String> {
    let stanza = sources.split("\n\n").find_map(|stanza| {
        let field = |name: &str| stanza.lines().find_map(|it| it.strip_prefix(name)).map(str::trim);
        let is_ours = field("Suites:")?.split_whitespace().any(|it| it == "bookworm");
        let uri = is_ours.then(|| field("URIs:"))??.split_whitespace().next()?;
        Some((uri.to_owned(), field("Signed-By:").map(str::to_owned)))
    });
    let line = || {
        sources.lines().find_map(|line| {
            let rest = line.trim().strip_prefix("deb ")?.trim();
            // Options stand in brackets before the address.
            let (options, rest) = match rest.strip_prefix('[') {
                Some(rest) => rest.split_once(']')?,
                None => ("", rest),
            };
            let mut words = rest.split_whitespace();
            let (uri, suite) = (words.next()?, words.next()?);
            let key = options.split_whitespace().find_map(|it| it.strip_prefix("signed-by="));
            (suite == "bookworm").then(|| (uri.to_owned(), key.map(str::to_owned)))
        })
    };
    let (uri, key) = stanza.or_else(line).context("apt has no source of Debian 12 to take the mirror from")?;
    let key = key.map(|it| format!("Signed-By: {it}\n")).unwrap_or_default();
    Ok(format!("Types: deb\nURIs: {uri}\nSuites: trixie\nComponents: main\n{key}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mirror_of_the_next_release_is_that_of_this_one() {
        let many = "Types: deb\nURIs: http://one.example/tools\nSuites: nodistro\n\nTypes: deb\n# why\n\
                    URIs: http://two.example/debian\nSuites: bookworm bookworm-updates\nSigned-By: /k.gpg\n";
        let wanted = "Types: deb\nURIs: http://two.example/debian\nSuites: trixie\nComponents: main\n";
        assert_eq!(successor(many).unwrap(), format!("{wanted}Signed-By: /k.gpg\n"));
        let old = "deb http://three.example x main\ndeb [arch=amd64 signed-by=/k.gpg] http://two.example/debian bookworm main\n";
        assert_eq!(successor(old).unwrap(), format!("{wanted}Signed-By: /k.gpg\n"));
        assert_eq!(successor("deb http://two.example/debian bookworm main\n").unwrap(), wanted);
        assert!(successor("deb http://security.example bookworm-security main\n").is_err());
    }
}
