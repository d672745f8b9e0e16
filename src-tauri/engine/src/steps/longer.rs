//! Asks before the application is stopped, where the rehearsal took much longer than what a person had agreed to.

use std::thread;
use std::time::Duration;

use chrono::TimeDelta;

use crate::error::{Error, Result};
use crate::receipt::duration;
use crate::state::Db;
use crate::state::question::LongerQuestion;
use crate::steps::World;

/// How long an answer is waited for.
const PATIENCE: TimeDelta = TimeDelta::minutes(30);
/// How often it is looked for.
const LOOK: Duration = Duration::from_millis(250);
/// Nobody minds so many seconds, whatever was said before.
const UNNOTICED: f64 = 5.0;

/// Whether a person has to be asked.
fn is_much_longer(measured: f64, confirmed: u64) -> bool {
    #[expect(clippy::cast_precision_loss, reason = "seconds")]
    let confirmed = confirmed as f64;
    measured > UNNOTICED && measured > 2.0 * confirmed
}

/// Goes on at once where it took about as long as was said; else waits for an answer.
///
/// # Errors
/// `longer_unanswered` after half an hour; what stopped the upgrade meanwhile.
pub(super) fn ask_if_longer(world: &World<'_>, measured_seconds: f64) -> Result<()> {
    let Some(confirmed_seconds) = world.options.confirmed_seconds else { return Ok(()) };
    if world.options.rehearse_only || !is_much_longer(measured_seconds, confirmed_seconds) {
        return Ok(());
    }
    let mut db = Db::open(world.home)?;
    // A worker that came later does not begin the half hour anew.
    let until = db.question(world.id)?.map_or_else(|| world.clock.now() + PATIENCE, |it| it.until);
    if db.question(world.id)?.is_none_or(|it| !it.goes_on) {
        db.set_question(world.id, &LongerQuestion { measured_seconds, confirmed_seconds, until, goes_on: false })?;
    }
    world.reporter.say(&format!(
        "The rehearsal took {}, not {} as was said: waiting for an answer until {}.",
        duration(measured_seconds),
        duration(f64::from(u32::try_from(confirmed_seconds).unwrap_or(u32::MAX))),
        until.format("%H:%M UTC"),
    ));
    while db.question(world.id)?.is_none_or(|it| !it.goes_on) {
        world.reporter.check()?;
        if world.clock.now() >= until {
            return Err(Error::failed(
                "longer_unanswered",
                "The update would take much longer than was said, and nobody answered whether it may.",
            )
            .remedy("Nothing was changed. Start it again; it now says how long it takes."));
        }
        thread::sleep(LOOK);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::is_much_longer;

    #[test]
    fn only_much_more_than_what_was_said_is_asked_about() {
        for (measured, confirmed, is_asked) in
            [(5.0, 0, false), (5.1, 0, true), (20.0, 10, false), (20.1, 10, true), (1.0, 0, false), (600.0, 299, true)]
        {
            assert_eq!(is_much_longer(measured, confirmed), is_asked, "{measured} s where {confirmed} s were said");
        }
    }
}
