//! What makes a release ready to run in its own folder, before anything is stopped: an environment of its language, pages
//! that are built. It is done where the release will stay, because such things know their own path.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::Native;
use crate::drivers::command::{Place, filled, owner_to_become};
use crate::durable;
use crate::error::{Error, Result};
use crate::model::profile::Preparation;
use crate::ports::{Finished, Invocation, Patience, Reporter};
use crate::process::{find_program, printable};

/// In the folder of a release that is ready.
const READY: &str = ".liftlock-ready";
const LONGEST: Duration = Duration::from_secs(6 * 3600);
/// Lines that are quoted of what did not work.
const LAST_WORDS: usize = 10;

impl Native {
    /// Runs what the profile says, all of it from its beginning, unless it has come to its end before.
    pub(super) fn make_ready(&self, version: &str, reporter: &dyn Reporter) -> Result<Value> {
        let folder = self.folder(version)?;
        let mark = folder.join(READY);
        if !mark.is_file() {
            for preparation in &self.layout.prepare {
                self.run_preparation(preparation, version, &folder, reporter)?;
            }
            crate::crash::point("forward", "make_ready", crate::crash::Moment::MidEffect);
            durable::write(&mark, b"")?;
        }
        Ok(json!({ "ready": version }))
    }

    fn run_preparation(
        &self,
        preparation: &Preparation,
        version: &str,
        release: &Path,
        reporter: &dyn Reporter,
    ) -> Result<()> {
        let words = filled(&preparation.command, Place { dir: &self.dir, version, release })?;
        let Some((program, args)) = words.split_first() else { return Ok(()) };
        let folder = preparation.folder.as_ref().map_or_else(|| release.to_owned(), |it| it.under(release));
        let said = words.join(" ");
        let is_there = program.contains('/') || find_program(program).is_some();
        if preparation.optional && !(folder.is_dir() && is_there) {
            reporter.say(&format!("Left out, because it is not there: {said}"));
            return Ok(());
        }
        reporter.say(&format!("Running: {said}"));
        // Without the settings of the application: what is fetched and built has no business with its passwords.
        let mut invocation = Invocation::new(program).args(args).dir(folder);
        if let Some((uid, gid)) = owner_to_become(&self.dir)? {
            invocation = invocation.user(uid, gid).env("HOME", release);
        }
        let patience = Patience { deadline: LONGEST, stall_after: Some(self.stall_after) };
        let finished = self.runner.run(&invocation, patience, &[], reporter)?;
        if finished.succeeded() { Ok(()) } else { Err(not_ready(&said, &finished)) }
    }
}

fn not_ready(said: &str, finished: &Finished) -> Error {
    let words = if finished.stderr.trim().is_empty() { &finished.stdout } else { &finished.stderr };
    let error = if words.to_lowercase().contains("no space left on device") {
        Error::failed("disk_full", "The disk is full: the new version could not be made ready.")
            .remedy("Free some space, then start the update again. Nothing was stopped.")
    } else {
        Error::failed("build_failed", format!("The new version could not be made ready: “{said}” did not work."))
            .remedy("Look at what it said, put that right, then start the update again. Nothing was stopped.")
    };
    let lines: Vec<&str> = words.lines().filter(|it| !it.trim().is_empty()).collect();
    lines.iter().rev().take(LAST_WORDS).rev().fold(error, |error, it| error.detail(printable(it)))
}
