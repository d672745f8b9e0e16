//! Commands of a release, pointed at a place: migrations and what surrounds them.

use std::path::Path;
use std::time::Duration;

use crate::drivers::{Errand, command};
use crate::error::{Error, Result};
use crate::model::profile::{CommandLine, Placeholder, Store, Template};
use crate::ports::{Finished, Patience, SignOfWork};
use crate::steps::World;
use crate::stores::Place;

/// What a command of a release is run with.
pub(crate) struct Pointed<'p> {
    /// Folder of the release whose command it is.
    pub(crate) release: &'p Path,
    /// Its version.
    pub(crate) version: &'p str,
    /// Every store that it is pointed at, with the place. Empty: it works on the live ones.
    pub(crate) at: Vec<(&'p Store, Place)>,
    /// Further variables.
    pub(crate) env: Vec<(String, String)>,
    /// The network in which it must run to find them.
    pub(crate) network: Option<&'p str>,
}

/// Runs a command of a release and waits for its end.
///
/// # Errors
/// `stalled`, `deadline`, `command_missing`, `cancelled`. A non-zero exit is no error here.
pub(crate) fn run(
    world: &World<'_>,
    line: &CommandLine,
    pointed: &Pointed<'_>,
    within: Duration,
    signs: &[&dyn SignOfWork],
) -> Result<Finished> {
    let dir = &world.site.installation.folder;
    // First, so that what a command is pointed at wins.
    let mut variables = world.given()?;
    for (store, place) in &pointed.at {
        for (variable, template) in store.point_at() {
            variables.push((variable.clone(), point(template, place, pointed, dir)?));
        }
    }
    variables.extend(pointed.env.iter().cloned());
    let place = command::Place { dir, version: pointed.version, release: pointed.release };
    let errand = Errand { place, variables: &variables, network: pointed.network };
    let patience = Patience { deadline: within, stall_after: Some(world.site.profile.limits.stall_after) };
    world.site.driver.run(line, &errand, patience, signs, world.reporter)
}

fn point(template: &Template, place: &Place, pointed: &Pointed<'_>, folder: &Path) -> Result<String> {
    let release = text(pointed.release)?;
    let dir = text(folder)?;
    match place {
        Place::Postgres { host, port, user, password, database } => {
            let port = port.to_string();
            template.fill(&[
                (Placeholder::Host, host.as_str()),
                (Placeholder::Port, port.as_str()),
                (Placeholder::User, user.as_str()),
                (Placeholder::Password, password.as_ref().map_or("", |it| it.expose())),
                (Placeholder::Database, database.as_str()),
                (Placeholder::Release, release),
                (Placeholder::Dir, dir),
            ])
        }
        Place::Path(path) => {
            template.fill(&[(Placeholder::Path, text(path)?), (Placeholder::Release, release), (Placeholder::Dir, dir)])
        }
    }
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().ok_or_else(|| {
        Error::refused("bad_path", format!("The name of {} is not valid Unicode.", path.display()))
            .remedy("Rename the folder.")
    })
}

/// The error of a command that ended with a non-zero code: its last words are the details.
pub(crate) fn did_not_work(class: &'static str, what: &str, finished: &Finished) -> Error {
    let mut error = Error::failed(
        class,
        format!(
            "{what} did not work ({}).",
            match finished.code {
                Some(code) => format!("exit code {code}"),
                None => "ended by a signal".to_owned(),
            }
        ),
    )
    .remedy("The log has its last words. Report them to the makers of the application.");
    let said = if finished.stderr.trim().is_empty() { &finished.stdout } else { &finished.stderr };
    for line in said.lines().rev().filter(|it| !it.trim().is_empty()).take(5).collect::<Vec<_>>().into_iter().rev() {
        error = error.detail(line.trim());
    }
    error
}
