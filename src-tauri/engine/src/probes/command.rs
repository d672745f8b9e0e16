//! Asking a command, whose exit code is the answer.

use std::time::Duration;

use super::{World, disk_full, mentions_full_disk, net};
use crate::error::{Error, Result};
use crate::ports::{Finished, Invocation, Patience};
use crate::process::printable;

pub(super) fn probe(invocation: &Invocation, timeout: Duration, world: World<'_>) -> Result<()> {
    let done = run(invocation, timeout, world)?;
    if done.succeeded() {
        return Ok(());
    }
    let name = name(invocation);
    if mentions_full_disk(&done.stderr) || mentions_full_disk(&done.stdout) {
        return Err(disk_full(&name));
    }
    let how = done.code.map_or_else(|| "was ended by a signal".to_owned(), |code| format!("ended with code {code}"));
    let words = done.stderr.lines().rfind(|line| !line.trim().is_empty());
    let said = words.map_or_else(String::new, |line| format!(" and said: {}", printable(line.trim())));
    Err(Error::failed("exit_code", format!("{name} {how}{said}."))
        .remedy("Run this command by hand in the folder of the application and look at what it says."))
}

/// Runs a command whose answer is read and not told to the log.
pub(super) fn run(invocation: &Invocation, timeout: Duration, world: World<'_>) -> Result<Finished> {
    let patience = Patience { deadline: timeout, stall_after: None };
    let quiet = invocation.clone().quiet();
    world.runner.run(&quiet, patience, &[], world.reporter).map_err(|error| match error.class.as_ref() {
        "deadline" => net::late(&name(invocation), timeout),
        _ => error,
    })
}

fn name(invocation: &Invocation) -> String {
    invocation.program.file_name().map_or_else(|| "The command".to_owned(), |it| it.to_string_lossy().into_owned())
}
