//! The checkout of git that an application ran from before Liftlock came: asked, and never changed.
//!
//! Git runs as the owner of the folder, and nothing that a checkout could name is run by it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::command::owner_to_become;
use crate::durable;
use crate::error::{Error, Result};
use crate::model::release::TagPattern;
use crate::ports::{Finished, Invocation, Patience, Pipes, Runner};
use crate::process::Silent;

const QUESTION: Patience = Patience { deadline: Duration::from_secs(60), stall_after: None };
/// What a checkout may name that git would run by itself.
const NOTHING_OF_ITS_OWN: [&str; 7] =
    ["--no-optional-locks", "-c", "safe.directory=*", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null"];
/// Differences as they are, by no program that the settings name.
const DIFF: [&str; 3] = ["diff", "--no-ext-diff", "--no-textconv"];

/// The checkout in a folder, where there is one.
pub(super) struct Checkout<'c> {
    dir: &'c Path,
    runner: &'c dyn Runner,
}

impl<'c> Checkout<'c> {
    pub(super) fn of(dir: &'c Path, runner: &'c dyn Runner) -> Option<Self> {
        dir.join(".git").exists().then_some(Self { dir, runner })
    }

    /// The newest version whose tag stands on what is checked out.
    pub(super) fn version(&self, tags: &TagPattern) -> Result<Option<String>> {
        let said = self.ask(&["tag", "--points-at", "HEAD"])?;
        let versions = said.lines().filter_map(|it| tags.version(it.trim()).ok());
        Ok(versions.max().map(|it| it.to_string()))
    }

    /// Files that differ from what is checked out; files that git does not know are nobody's change.
    pub(super) fn changes(&self) -> Result<Vec<PathBuf>> {
        let said = self.ask(&[DIFF.as_slice(), &["--name-only", "-z", "HEAD"]].concat())?;
        Ok(said.split('\0').filter(|it| !it.is_empty()).map(PathBuf::from).collect())
    }

    /// Writes what was changed into a file, as `git apply` takes it.
    pub(super) fn keep(&self, file: &Path) -> Result<()> {
        let git = self.git(&[DIFF.as_slice(), &["--binary", "HEAD"]].concat())?;
        durable::write_with(file, |into| {
            let pipes = Pipes { stdin: None, stdout: Some(into) };
            answered(self.runner.pipe(&git, pipes, QUESTION, &[], &Silent)?).map(drop)
        })
    }

    fn ask(&self, words: &[&str]) -> Result<String> {
        Ok(answered(self.runner.run(&self.git(words)?, QUESTION, &[], &Silent)?)?.stdout)
    }

    fn git(&self, words: &[&str]) -> Result<Invocation> {
        let git = Invocation::new("git").args(NOTHING_OF_ITS_OWN).args(words).dir(self.dir).quiet();
        let git = git.env("LC_ALL", "C").env("GIT_TERMINAL_PROMPT", "0");
        Ok(match owner_to_become(self.dir)? {
            Some((uid, gid)) => git.user(uid, gid).env("HOME", self.dir),
            None => git,
        })
    }
}

fn answered(finished: Finished) -> Result<Finished> {
    if finished.succeeded() {
        return Ok(finished);
    }
    let error = Error::failed("git_failed", "Git could not tell what is checked out in the folder of the application.")
        .remedy("Look with “git status” in that folder, then try again.");
    let lines: Vec<&str> = finished.stderr.lines().filter(|it| !it.trim().is_empty()).collect();
    Err(lines.iter().rev().take(3).rev().fold(error, |error, it| error.detail(crate::process::printable(it))))
}
