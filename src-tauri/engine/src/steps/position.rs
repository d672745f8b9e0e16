//! Where an installation stands, by two witnesses: the version that runs, and what its data says of itself.
//!
//! Somebody ran migrations by hand, restored an old backup, or started another release over the data: then the two do
//! not agree, and nobody but a person knows which is right. They are asked; nothing is guessed, and nothing is changed
//! to find out.

use semver::Version;

use crate::drivers::{Errand, command};
use crate::error::{Error, Result};
use crate::model::finding::{Finding, Severity};
use crate::model::profile::CommandLine;
use crate::ports::Reporter;
use crate::site::Site;
use crate::steps::commands::did_not_work;
use crate::steps::schema::{ASKED, questions, revisions, shown};

/// The version that a person says the data is at.
///
/// # Errors
/// `bad_version`.
pub(crate) fn said(data_at: Option<&str>) -> Result<Option<Version>> {
    let Some(text) = data_at else { return Ok(None) };
    let version = Version::parse(text.trim_start_matches('v')).map_err(|cause| {
        Error::usage("bad_version", format!("“{}” is not a version.", text.escape_debug()))
            .remedy("Give it as 1.2.3; `liftlock releases` lists what is out.")
            .because(&cause)
    })?;
    Ok(Some(version))
}

/// What is found where the two do not agree: a question, or its answer.
///
/// # Errors
/// Only what keeps it from looking at all: `cancelled`, `lease_lost`.
pub(crate) fn finding(
    site: &Site,
    running: &Version,
    data_at: Option<&Version>,
    reporter: &dyn Reporter,
) -> Result<Option<Finding>> {
    let (expects, has) = match witnesses(site, reporter) {
        Ok(Some(both)) => both,
        Ok(None) => return Ok(None),
        Err(error) if matches!(error.class.as_ref(), "cancelled" | "deadline" | "lease_lost") => return Err(error),
        Err(error) => {
            let message = format!("Whether the data fits {running} could not be asked. {}", error.message);
            return Ok(Some(Finding::new(Severity::Warning, "position_unknown", message, error.remedy)));
        }
    };
    if expects == has {
        return Ok(None);
    }
    let (expects, has) = (shown(&expects), shown(&has));
    let told = format!("{running} runs, which needs the data to be at “{expects}”, and it is at “{has}”.");
    Ok(Some(match data_at {
        Some(version) => {
            let message = format!("{told} You said that it is that of {version}.");
            Finding::new(Severity::Note, "position_answered", message, "Nothing to do.")
        }
        None => Finding::new(
            Severity::Stop,
            "position_unclear",
            format!("{told} Which version is the data of?"),
            format!(
                "Say it: `liftlock upgrade --data-is-at VERSION`. If you do not know, it is most likely {running}."
            ),
        ),
    }))
}

/// What the release in use needs the data to be at, and what it is at; nothing where the profile knows no way to ask.
fn witnesses(site: &Site, reporter: &dyn Reporter) -> Result<Option<(String, String)>> {
    let Some((head, version)) = site.profile.migrations.as_ref().and_then(questions) else { return Ok(None) };
    let Some(release) = site.driver.current_release()? else { return Ok(None) };
    let expects = ask(site, &release, head, reporter)?;
    Ok(Some((expects, ask(site, &release, &version.command_line(), reporter)?)))
}

fn ask(site: &Site, release: &str, line: &CommandLine, reporter: &dyn Reporter) -> Result<String> {
    let folder = site.release_folder(release)?;
    let place = command::Place { dir: &site.installation.folder, version: release, release: &folder };
    let errand = Errand { place, variables: &[], network: None };
    let finished = site.driver.run(line, &errand, ASKED, &[], reporter)?;
    if !finished.succeeded() {
        return Err(did_not_work("position_unknown", "The command that tells the version of the data", &finished));
    }
    Ok(revisions(&finished))
}
