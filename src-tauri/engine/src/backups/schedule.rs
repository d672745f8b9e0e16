//! When backups are due: an expression of cron or a few plain words, in the time of the people here.
//!
//! A time that was missed (the machine slept, an update ran, the window was shut) is caught up once, however many
//! were missed. A clock that was set back must not put off the next backup for years, so a last time that lies in the
//! future is not believed. Absent on purpose: seconds, and who wakes us.

use chrono::{DateTime, TimeZone, Utc};
use croner::Cron;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// How often a backup is tried anew for the same time.
const TRIES: u32 = 3;
/// How long after a try that failed the next one waits.
const PAUSE: chrono::TimeDelta = chrono::TimeDelta::hours(1);

/// When the backups of an installation are made, and how far it has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Schedule {
    /// What a person wrote: `every night at 3`, `30 2 * * 1-5`.
    pub when: String,
    /// Since when it holds.
    pub since: DateTime<Utc>,
    /// The last time that was served, by a backup or by too many tries.
    pub served: Option<DateTime<Utc>>,
    /// When it was last tried.
    pub tried_at: Option<DateTime<Utc>>,
    /// How often it was tried without success for the time that is due.
    #[serde(default)]
    pub failures: u32,
    /// Why the last try did not work.
    #[serde(default)]
    pub problem: Option<String>,
}

impl Schedule {
    /// A schedule from now on.
    ///
    /// # Errors
    /// `bad_schedule`.
    pub fn new(when: &str, now: DateTime<Utc>) -> Result<Self> {
        parse(when)?;
        let when = when.trim().to_owned();
        Ok(Self { when, since: now, served: None, tried_at: None, failures: 0, problem: None })
    }

    /// The time that is due and was not served yet: the latest one, however many were missed. None also while a try that
    /// failed is too fresh.
    ///
    /// # Errors
    /// `bad_schedule`.
    pub fn due<Z: TimeZone>(&self, now: DateTime<Utc>, zone: &Z) -> Result<Option<DateTime<Utc>>> {
        let too_fresh = self.tried_at.is_some_and(|at| at <= now && now - at < PAUSE) && self.failures > 0;
        if too_fresh {
            return Ok(None);
        }
        let local = now.with_timezone(zone);
        let slot = parse(&self.when)?.find_previous_occurrence(&local, true).ok().map(|it| it.with_timezone(&Utc));
        let known = self.known(now);
        Ok(slot.filter(|slot| known.is_none_or(|known| *slot > known)))
    }

    /// The first time that was missed: one was due then, and none was made from then on.
    ///
    /// # Errors
    /// `bad_schedule`.
    pub fn missed<Z: TimeZone>(&self, now: DateTime<Utc>, zone: &Z) -> Result<Option<DateTime<Utc>>> {
        let Some(known) = self.known(now) else { return self.due(now, zone) };
        let next = parse(&self.when)?.find_next_occurrence(&known.with_timezone(zone), false).ok();
        Ok(next.map(|it| it.with_timezone(&Utc)).filter(|it| *it <= now))
    }

    /// Until when all is served. Whatever lies in the future was written under another clock: what is due now is served now.
    fn known(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.served.filter(|it| *it <= now).or_else(|| Some(self.since).filter(|it| *it <= now))
    }

    /// When the next backup is made, as far as the schedule goes.
    ///
    /// # Errors
    /// `bad_schedule`.
    pub fn next<Z: TimeZone>(&self, now: DateTime<Utc>, zone: &Z) -> Result<Option<DateTime<Utc>>> {
        if let Some(due) = self.due(now, zone)? {
            return Ok(Some(due));
        }
        let local = now.with_timezone(zone);
        Ok(parse(&self.when)?.find_next_occurrence(&local, false).ok().map(|it| it.with_timezone(&Utc)))
    }

    /// The time that was due has its backup.
    pub fn serve(&mut self, slot: DateTime<Utc>, now: DateTime<Utc>) {
        self.served = Some(slot);
        self.tried_at = Some(now);
        self.failures = 0;
        self.problem = None;
    }

    /// It was tried and did not work: tried again later, and given up for this time after so many tries.
    pub fn fail(&mut self, slot: DateTime<Utc>, now: DateTime<Utc>, why: &str) {
        self.failures += 1;
        self.tried_at = Some(now);
        self.problem = Some(why.to_owned());
        if self.failures >= TRIES {
            self.served = Some(slot);
            self.failures = 0;
        }
    }
}

fn parse(when: &str) -> Result<Cron> {
    let expression = in_words(when).unwrap_or_else(|| when.trim().to_owned());
    let bad = || {
        Error::usage("bad_schedule", format!("“{}” is no time for backups.", when.escape_debug())).remedy(
            "Write “every night at 3”, “every day at 14:30”, “every Sunday at 4”, “every hour”, or an expression of cron \
             such as “30 2 * * 1-5”.",
        )
    };
    if expression.split_whitespace().count() != 5 {
        return Err(bad());
    }
    expression.parse::<Cron>().map_err(|cause| bad().detail(cause.to_string()))
}

/// `every night at 3` as an expression of cron.
fn in_words(when: &str) -> Option<String> {
    let lower = when.trim().to_lowercase();
    let mut words = lower.split_whitespace();
    (words.next()? == "every").then_some(())?;
    let what = words.next()?;
    if what == "hour" {
        return words.next().is_none().then(|| "0 * * * *".to_owned());
    }
    let day = match what {
        "night" | "day" | "morning" | "evening" => "*".to_owned(),
        "weekday" => "1-5".to_owned(),
        _ => ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"]
            .iter()
            .position(|it| *it == what)?
            .to_string(),
    };
    let (hour, minute) = match (words.next(), words.next(), words.next()) {
        (None, ..) if what == "night" => (3, 0),
        (Some("at"), Some(time), None) => {
            let (hour, minute) = time.split_once(':').unwrap_or((time, "0"));
            (hour.parse::<u32>().ok()?, minute.parse::<u32>().ok()?)
        }
        _ => return None,
    };
    (hour < 24 && minute < 60).then(|| format!("{minute} {hour} * * {day}"))
}

#[cfg(test)]
mod tests {
    use chrono::{FixedOffset, MappedLocalTime, NaiveDate, NaiveDateTime, NaiveTime};

    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn plain_words_and_cron_mean_the_same_and_nonsense_is_refused() {
        for (words, cron) in [
            ("every night", "0 3 * * *"),
            ("Every night at 3", "0 3 * * *"),
            ("every day at 14:30", "30 14 * * *"),
            ("every Sunday at 4", "0 4 * * 0"),
            ("every weekday at 23:05", "5 23 * * 1-5"),
            ("every hour", "0 * * * *"),
        ] {
            assert_eq!(in_words(words).as_deref(), Some(cron));
            assert!(parse(words).is_ok() && parse(cron).is_ok(), "{words}");
        }
        for bad in [
            "",
            "every",
            "every night at 25",
            "every moon at 3",
            "at 3",
            "* * * *",
            "61 * * * *",
            "* * * * * *",
            "every day",
        ] {
            assert_eq!(parse(bad).unwrap_err().class, "bad_schedule", "{bad}");
        }
    }

    #[test]
    fn what_was_missed_is_caught_up_once() {
        let mut nightly = Schedule::new("every night at 3", at("2026-11-01T12:00:00Z")).unwrap();
        assert_eq!(nightly.due(at("2026-11-01T12:00:00Z"), &Utc).unwrap(), None, "not for a time before it held");
        assert_eq!(nightly.next(at("2026-11-01T12:00:00Z"), &Utc).unwrap(), Some(at("2026-11-02T03:00:00Z")));
        // Asleep for five nights.
        let slot = nightly.due(at("2026-11-06T08:15:00Z"), &Utc).unwrap().unwrap();
        assert_eq!(slot, at("2026-11-06T03:00:00Z"));
        nightly.serve(slot, at("2026-11-06T08:20:00Z"));
        assert_eq!(nightly.due(at("2026-11-06T08:30:00Z"), &Utc).unwrap(), None);
        assert_eq!(nightly.due(at("2026-11-07T02:59:00Z"), &Utc).unwrap(), None);
        assert_eq!(nightly.due(at("2026-11-07T03:00:00Z"), &Utc).unwrap(), Some(at("2026-11-07T03:00:00Z")));
    }

    #[test]
    fn three_in_the_night_is_that_of_the_people_here() {
        let nightly = Schedule::new("every night at 3", at("2026-11-01T12:00:00Z")).unwrap();
        let zone = FixedOffset::east_opt(5 * 3600).unwrap();
        assert_eq!(nightly.next(at("2026-11-01T12:00:00Z"), &zone).unwrap(), Some(at("2026-11-01T22:00:00Z")));
    }

    #[test]
    fn a_clock_that_was_set_wrong_for_a_night_puts_off_nothing() {
        let mut nightly = Schedule::new("every night at 3", at("2026-11-01T12:00:00Z")).unwrap();
        // Ten years ahead: one backup, not three thousand.
        let slot = nightly.due(at("2036-11-02T09:00:00Z"), &Utc).unwrap().unwrap();
        nightly.serve(slot, at("2036-11-02T09:01:00Z"));
        assert_eq!(nightly.due(at("2036-11-02T09:15:00Z"), &Utc).unwrap(), None);
        // And back: the next night is served, not the one in ten years.
        let slot = nightly.due(at("2026-11-03T03:10:00Z"), &Utc).unwrap().unwrap();
        assert_eq!(slot, at("2026-11-03T03:00:00Z"));
        nightly.serve(slot, at("2026-11-03T03:11:00Z"));
        // An hour back, as when summer ends: the same night is not backed up twice.
        assert_eq!(nightly.due(at("2026-11-03T03:05:00Z"), &Utc).unwrap(), None);
        // Ten years back: it was made before the schedule held, and is served all the same.
        assert!(nightly.due(at("2016-11-03T03:05:00Z"), &Utc).unwrap().is_some());
    }

    /// As in Berlin in 2026: summer begins on 29 March and ends on 25 October, both at one o'clock UTC.
    #[derive(Clone)]
    struct Berlin;

    impl Berlin {
        fn offset(utc: &NaiveDateTime) -> FixedOffset {
            let summer = at("2026-03-29T01:00:00Z").naive_utc()..at("2026-10-25T01:00:00Z").naive_utc();
            FixedOffset::east_opt(if summer.contains(utc) { 7200 } else { 3600 }).unwrap()
        }
    }

    impl TimeZone for Berlin {
        type Offset = FixedOffset;
        fn from_offset(_: &FixedOffset) -> Self {
            Self
        }
        fn offset_from_local_date(&self, local: &NaiveDate) -> MappedLocalTime<FixedOffset> {
            self.offset_from_local_datetime(&local.and_time(NaiveTime::MIN))
        }
        fn offset_from_local_datetime(&self, local: &NaiveDateTime) -> MappedLocalTime<FixedOffset> {
            let may_be = |hours: i32| {
                let offset = FixedOffset::east_opt(hours * 3600).unwrap();
                Some(offset).filter(|it| Self::offset(&(*local - *it)) == *it)
            };
            match (may_be(2), may_be(1)) {
                (Some(first), Some(second)) => MappedLocalTime::Ambiguous(first, second),
                (Some(only), None) | (None, Some(only)) => MappedLocalTime::Single(only),
                (None, None) => MappedLocalTime::None,
            }
        }
        fn offset_from_utc_date(&self, utc: &NaiveDate) -> FixedOffset {
            Self::offset(&utc.and_time(NaiveTime::MIN))
        }
        fn offset_from_utc_datetime(&self, utc: &NaiveDateTime) -> FixedOffset {
            Self::offset(utc)
        }
    }

    #[test]
    fn every_night_has_its_backup_once_also_where_an_hour_is_missing_or_comes_twice() {
        for (first, days) in [("2026-03-27T12:00:00Z", 4), ("2026-10-23T12:00:00Z", 4)] {
            for when in ["every night at 2:30", "every night at 3"] {
                let mut nightly = Schedule::new(when, at(first)).unwrap();
                let mut served = Vec::new();
                let mut now = at(first);
                while now < at(first) + chrono::TimeDelta::days(days) {
                    if let Some(slot) = nightly.due(now, &Berlin).unwrap() {
                        nightly.serve(slot, now);
                        served.push(now.with_timezone(&Berlin).date_naive());
                        assert!(nightly.next(now, &Berlin).unwrap().is_some_and(|it| it > now), "{when} at {now}");
                    }
                    now += chrono::TimeDelta::minutes(30);
                }
                let mut once = served.clone();
                once.dedup();
                assert_eq!((served.len(), once.len()), (4, 4), "{when} from {first}: {served:?}");
            }
        }
    }

    #[test]
    fn a_try_that_failed_is_tried_again_three_times_an_hour_apart() {
        let mut nightly = Schedule::new("every night at 3", at("2026-11-01T12:00:00Z")).unwrap();
        let mut tries = Vec::new();
        let mut now = at("2026-11-02T03:00:00Z");
        while now < at("2026-11-03T03:00:00Z") {
            if let Some(slot) = nightly.due(now, &Utc).unwrap() {
                nightly.fail(slot, now, "the server is gone");
                tries.push(now.format("%H:%M").to_string());
            }
            now += chrono::TimeDelta::minutes(15);
        }
        assert_eq!(tries, ["03:00", "04:00", "05:00"]);
        assert_eq!(nightly.problem.as_deref(), Some("the server is gone"));
        let slot = nightly.due(now, &Utc).unwrap().expect("the next night is tried anew");
        nightly.serve(slot, now);
        assert_eq!(nightly.problem, None);
    }
}
