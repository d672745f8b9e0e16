//! Updates that happen by themselves: in which hours, how far they may go, and what stands in the way. Pure functions of
//! facts and the clock.
//!
//! Nothing happens that was not announced half a day earlier, and nothing happens twice: an update that was begun and
//! did not succeed waits for a person, or for the next version. One begins in the first half of its window only, so
//! that it has the other half to end in. Absent on purpose: breaking releases, in every case.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveTime, TimeDelta, TimeZone, Utc, Weekday};
use schemars::JsonSchema;
use semver::Version;
use serde::{Deserialize, Serialize};

use crate::model::ids::UpgradeId;
use crate::model::notice::line_of;

/// How long before it happens an update is announced.
pub const NOTICE: TimeDelta = TimeDelta::hours(12);
const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// Hours in which an application may be away: `Sunday 02:00-05:00`, in the time of the people here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Window {
    /// Monday first.
    days: [bool; 7],
    from: NaiveTime,
    /// At or before `from`: on the day after.
    to: NaiveTime,
}

impl FromStr for Window {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("“{}” is no maintenance window", text.escape_debug());
        let lower = text.trim().to_lowercase().replace('–', "-");
        // Hours alone are those of every day.
        let (days, hours) = lower.rsplit_once(char::is_whitespace).unwrap_or(("daily", &lower));
        let (from, to) = hours.split_once('-').ok_or_else(bad)?;
        let (from, to) = (time(from).ok_or_else(bad)?, time(to).ok_or_else(bad)?);
        let mut chosen = [false; 7];
        for word in days.split([',', ' ']).filter(|it| !matches!(*it, "" | "every" | "on" | "and")) {
            match word.trim_end_matches('s') {
                "day" | "daily" | "night" => chosen = [true; 7],
                "weekday" => chosen[..5].fill(true),
                "weekend" => chosen[5..].fill(true),
                name => {
                    let is_it = |it: &&str| name.len() >= 3 && it.to_lowercase().starts_with(name);
                    let at = DAYS.iter().position(is_it).ok_or_else(bad)?;
                    chosen[at] = true;
                }
            }
        }
        if !chosen.contains(&true) || from == to {
            return Err(bad());
        }
        Ok(Self { days: chosen, from, to })
    }
}

/// `2`, `02:00`, `14:30`, `24`.
fn time(text: &str) -> Option<NaiveTime> {
    let (hour, minute) = text.split_once(':').unwrap_or((text, "0"));
    let hour: u32 = hour.parse().ok()?;
    NaiveTime::from_hms_opt(if hour == 24 { 0 } else { hour }, minute.parse().ok()?, 0)
}

impl TryFrom<String> for Window {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Window> for String {
    fn from(window: Window) -> Self {
        window.to_string()
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named: Vec<&str> = DAYS.iter().zip(self.days).filter(|it| it.1).map(|it| *it.0).collect();
        let days = if named.len() == DAYS.len() { "every day".to_owned() } else { named.join(", ") };
        write!(f, "{days} {}-{}", self.from.format("%H:%M"), self.to.format("%H:%M"))
    }
}

/// One time that a window is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opening {
    /// When it opens.
    pub from: DateTime<Utc>,
    /// When it shuts.
    pub to: DateTime<Utc>,
}

impl Opening {
    /// Whether something may still begin in it.
    pub fn admits(&self, now: DateTime<Utc>) -> bool {
        self.from <= now && now < self.from + (self.to - self.from) / 2
    }
}

impl Window {
    /// The opening that `now` is in, else the next one.
    pub fn opening<Z: TimeZone>(&self, now: DateTime<Utc>, zone: &Z) -> Option<Opening> {
        let today = now.with_timezone(zone).date_naive();
        // From yesterday on, for a window across midnight.
        let first = today.pred_opt()?;
        (0..9).filter_map(|it| self.on(first.checked_add_days(Days::new(it))?, zone)).find(|it| now < it.to)
    }

    /// The opening after this one.
    pub fn after<Z: TimeZone>(&self, opening: Opening, zone: &Z) -> Option<Opening> {
        self.opening(opening.to, zone)
    }

    fn on<Z: TimeZone>(&self, day: NaiveDate, zone: &Z) -> Option<Opening> {
        if !self.days[day.weekday().num_days_from_monday() as usize] {
            return None;
        }
        let end = if self.to <= self.from { day.succ_opt()? } else { day };
        let (from, to) = (instant(day, self.from, zone)?, instant(end, self.to, zone)?);
        // Where the clocks are put forward a window may vanish.
        (from < to).then_some(Opening { from, to })
    }

    /// The days, for a person's choice of them.
    pub fn weekdays(&self) -> impl Iterator<Item = Weekday> + '_ {
        let all = [Weekday::Mon, Weekday::Tue, Weekday::Wed, Weekday::Thu, Weekday::Fri, Weekday::Sat, Weekday::Sun];
        all.into_iter().zip(self.days).filter(|it| it.1).map(|it| it.0)
    }
}

/// A time of the clock on the wall; one that does not exist because the clock is put forward is an hour later.
fn instant<Z: TimeZone>(day: NaiveDate, time: NaiveTime, zone: &Z) -> Option<DateTime<Utc>> {
    let local = day.and_time(time);
    let there = zone.from_local_datetime(&local).earliest();
    let there = there.or_else(|| zone.from_local_datetime(&(local + TimeDelta::hours(1))).earliest());
    there.map(|it| it.with_timezone(&Utc))
}

/// How far an update may go by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum Reach {
    /// From 1.4.2 to 1.4.3.
    #[default]
    Patch,
    /// From 1.4.2 to 1.5.0 too.
    Minor,
}

impl Reach {
    /// Whether it may go from the one to the other. A breaking release is judged elsewhere, and is never reached.
    pub fn holds(self, from: &Version, to: &Version) -> bool {
        let is_near = match self {
            Self::Patch => (from.major, from.minor) == (to.major, to.minor),
            Self::Minor => line_of(from) == line_of(to),
        };
        is_near && from < to && to.pre.is_empty()
    }
}

/// What was chosen for an installation, and how far it has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unattended {
    /// When.
    pub window: Window,
    /// How far.
    pub reach: Reach,
    /// Since when it holds.
    pub since: DateTime<Utc>,
    /// What was announced.
    #[serde(default)]
    pub told: Option<Told>,
    /// What was begun last.
    #[serde(default)]
    pub begun: Option<Begun>,
    /// Why the last time nothing was begun.
    #[serde(default)]
    pub postponed: Option<Postponed>,
}

/// An update that was announced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// The version.
    pub to: Version,
    /// When.
    pub at: DateTime<Utc>,
    /// Whether a notification of the desktop was shown.
    #[serde(default)]
    pub shown: bool,
}

/// An update that was begun by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begun {
    /// The version.
    pub to: Version,
    /// When.
    pub at: DateTime<Utc>,
    /// Which.
    pub upgrade: UpgradeId,
}

/// An opening that passed without an update, or has so far.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Postponed {
    /// When it was seen.
    pub at: DateTime<Utc>,
    /// Why, in a sentence.
    pub why: String,
}

/// Everything that decides whether an update begins by itself.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The newest version within reach that nobody skipped.
    pub to: Option<Version>,
    /// A person wants to hear nothing now: paused, or reminded later.
    pub is_quiet: bool,
    /// Something works on the installation, or waits for a person.
    pub is_busy: bool,
    /// The machine runs on its battery; `None` where nobody can tell.
    pub on_battery: Option<bool>,
    /// For how long nobody has used the machine; `None` where nobody can tell.
    pub unused_for: Option<TimeDelta>,
    /// The opening that is, or comes next.
    pub opening: Option<Opening>,
    /// The one after it.
    pub later: Option<Opening>,
}

/// Somebody who used the machine so recently may come back.
const UNUSED: TimeDelta = TimeDelta::minutes(15);

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Nothing is due.
    Rest,
    /// It is announced that the version will come, from then on.
    Announce(Version, DateTime<Utc>),
    /// It will come then; that is known already.
    Await(Version, DateTime<Utc>),
    /// It would be time, and something stands in the way, in a sentence.
    Postpone(Version, String),
    /// It begins now.
    Begin(Version),
}

/// What is to be done now.
pub fn decide(plan: &Unattended, facts: &Facts, now: DateTime<Utc>) -> Decision {
    let Some(to) = facts.to.clone().filter(|_| !facts.is_quiet) else { return Decision::Rest };
    if plan.begun.as_ref().is_some_and(|it| it.to == to) {
        return Decision::Rest;
    }
    let Some(opening) = facts.opening else { return Decision::Rest };
    // Told in the future means that the clock went back: then it is told anew.
    let told = plan.told.as_ref().filter(|it| it.to == to && it.at <= now);
    let ripe = told.map_or(now, |it| it.at) + NOTICE;
    let is_soon_enough = |it: &Opening| ripe < it.from + (it.to - it.from) / 2;
    let comes = [Some(opening), facts.later].into_iter().flatten().find(is_soon_enough);
    let at = comes.map_or(opening.to, |it| it.from.max(ripe));
    if told.is_none() {
        return Decision::Announce(to, at);
    }
    if now < ripe || !opening.admits(now) {
        let at = if opening.from <= now && now >= ripe { facts.later.map_or(opening.to, |it| it.from) } else { at };
        return Decision::Await(to, at);
    }
    let in_the_way = if facts.is_busy {
        "Something else works on it, or it needs you."
    } else if facts.on_battery == Some(true) {
        "The computer ran on its battery."
    } else if facts.unused_for.is_some_and(|it| it < UNUSED) {
        "The computer was in use."
    } else {
        return Decision::Begin(to);
    };
    Decision::Postpone(to, in_the_way.to_owned())
}

#[cfg(test)]
mod tests {
    use chrono::FixedOffset;

    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn a_window_is_read_from_plain_words_and_written_in_one_way() {
        for (text, written) in [
            ("Sundays 2-5", "Sunday 02:00-05:00"),
            ("every Sunday 2:30–5", "Sunday 02:30-05:00"),
            ("sat, sun 22-2", "Saturday, Sunday 22:00-02:00"),
            ("every night 1-4", "every day 01:00-04:00"),
            ("02:00-05:00", "every day 02:00-05:00"),
            ("weekdays 20-24", "Monday, Tuesday, Wednesday, Thursday, Friday 20:00-00:00"),
        ] {
            let window: Window = text.parse().unwrap();
            assert_eq!(window.to_string(), written);
            assert_eq!(written.parse::<Window>().unwrap(), window, "what is written is read again");
        }
        for text in ["", "Sunday", "Sunday 2", "Sunday 5-5", "Sunday 25-26", "su 2-5", "someday 2-5", "Sunday 2:99-5"] {
            assert!(text.parse::<Window>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_opening_is_found_across_midnight_and_zones() {
        let window: Window = "Sunday 22-2".parse().unwrap();
        let berlin = FixedOffset::east_opt(3600).unwrap();
        // 2026-11-22 is a Sunday.
        let expected = Opening { from: at("2026-11-22T21:00:00Z"), to: at("2026-11-23T01:00:00Z") };
        for now in ["2026-11-16T01:00:00Z", "2026-11-20T12:00:00Z", "2026-11-22T21:00:00Z", "2026-11-23T00:59:00Z"] {
            assert_eq!(window.opening(at(now), &berlin), Some(expected), "{now}");
        }
        let next = window.after(expected, &berlin).unwrap();
        assert_eq!(next.from, at("2026-11-29T21:00:00Z"));
        assert!(expected.admits(at("2026-11-22T22:59:00Z")) && !expected.admits(at("2026-11-22T23:00:00Z")));
        assert!(!expected.admits(at("2026-11-22T20:59:00Z")), "not before it opens");
    }

    #[test]
    fn only_what_is_near_is_reached() {
        let version = |it: &str| it.parse::<Version>().unwrap();
        for (from, to, patch, minor) in [
            ("1.4.2", "1.4.3", true, true),
            ("1.4.2", "1.5.0", false, true),
            ("1.4.2", "2.0.0", false, false),
            ("0.3.1", "0.3.2", true, true),
            ("0.3.1", "0.4.0", false, false),
            ("1.4.2", "1.4.2", false, false),
            ("1.4.2", "1.4.3-rc.1", false, false),
        ] {
            assert_eq!(Reach::Patch.holds(&version(from), &version(to)), patch, "patch {from} {to}");
            assert_eq!(Reach::Minor.holds(&version(from), &version(to)), minor, "minor {from} {to}");
        }
    }

    /// Sunday, two to five.
    fn case(told: Option<&str>) -> (Unattended, Facts) {
        let plan = Unattended {
            window: "Sunday 2-5".parse().unwrap(),
            reach: Reach::Patch,
            since: at("2026-11-01T00:00:00Z"),
            told: told.map(|it| Told { to: Version::new(1, 4, 3), at: at(it), shown: false }),
            begun: None,
            postponed: None,
        };
        let facts = Facts {
            to: Some(Version::new(1, 4, 3)),
            is_quiet: false,
            is_busy: false,
            on_battery: Some(false),
            unused_for: None,
            opening: None,
            later: None,
        };
        (plan, facts)
    }

    fn decided(told: Option<&str>, now: &str, change: impl FnOnce(&mut Unattended, &mut Facts)) -> Decision {
        let (mut plan, mut facts) = case(told);
        facts.opening = plan.window.opening(at(now), &Utc);
        facts.later = facts.opening.and_then(|it| plan.window.after(it, &Utc));
        change(&mut plan, &mut facts);
        decide(&plan, &facts, at(now))
    }

    const SATURDAY_NOON: &str = "2026-11-21T12:00:00Z";
    const SUNDAY_THREE: &str = "2026-11-22T03:00:00Z";

    #[test]
    fn an_update_is_announced_half_a_day_before_and_begins_in_the_first_half_of_its_window() {
        let to = || Version::new(1, 4, 3);
        let as_it_is = |_: &mut Unattended, _: &mut Facts| {};
        let opens = at("2026-11-22T02:00:00Z");
        assert_eq!(decided(None, SATURDAY_NOON, as_it_is), Decision::Announce(to(), opens));
        assert_eq!(decided(Some(SATURDAY_NOON), "2026-11-21T20:00:00Z", as_it_is), Decision::Await(to(), opens));
        assert_eq!(decided(Some(SATURDAY_NOON), SUNDAY_THREE, as_it_is), Decision::Begin(to()));
        // Too late for this Sunday, whether it was told too late or the half is over.
        let next = at("2026-11-29T02:00:00Z");
        assert_eq!(decided(None, SUNDAY_THREE, as_it_is), Decision::Announce(to(), next));
        assert_eq!(decided(Some("2026-11-22T01:00:00Z"), SUNDAY_THREE, as_it_is), Decision::Await(to(), next));
        assert_eq!(decided(Some(SATURDAY_NOON), "2026-11-22T03:30:00Z", as_it_is), Decision::Await(to(), next));
        // A clock that went back has told nobody.
        assert_eq!(decided(Some(SUNDAY_THREE), SATURDAY_NOON, as_it_is), Decision::Announce(to(), opens));
    }

    #[test]
    fn what_stands_in_the_way_postpones_and_what_a_person_chose_rests() {
        let decided = |change: fn(&mut Unattended, &mut Facts)| decided(Some(SATURDAY_NOON), SUNDAY_THREE, change);
        for (change, why) in [
            (
                (|_, it| it.is_busy = true) as fn(&mut Unattended, &mut Facts),
                "Something else works on it, or it needs you.",
            ),
            (|_, it| it.on_battery = Some(true), "The computer ran on its battery."),
            (|_, it| it.unused_for = Some(TimeDelta::minutes(14)), "The computer was in use."),
        ] {
            assert_eq!(decided(change), Decision::Postpone(Version::new(1, 4, 3), why.to_owned()));
        }
        for change in [
            (|_, it| it.is_quiet = true) as fn(&mut Unattended, &mut Facts),
            |_, it| it.to = None,
            |_, it| it.opening = None,
            |plan, _| {
                plan.begun =
                    Some(Begun { to: Version::new(1, 4, 3), at: at(SATURDAY_NOON), upgrade: UpgradeId::fresh() });
            },
        ] {
            assert_eq!(decided(change), Decision::Rest);
        }
        // Nobody can tell, or long enough: the window is the person's word.
        assert_eq!(decided(|_, it| it.on_battery = None), Decision::Begin(Version::new(1, 4, 3)));
        assert_eq!(
            decided(|_, it| it.unused_for = Some(TimeDelta::minutes(15))),
            Decision::Begin(Version::new(1, 4, 3))
        );
        // Another version than the one that was announced is announced itself.
        let other = decided(|_, it| it.to = Some(Version::new(1, 4, 4)));
        assert_eq!(other, Decision::Announce(Version::new(1, 4, 4), at("2026-11-29T02:00:00Z")));
    }
}
