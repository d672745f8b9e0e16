//! How loudly an installation is told of what is out: one pure function of facts and the clock.
//!
//! Loudness grows with the days since the first release that the installation is behind; a security hole raises it
//! at once; a breaking release never rises above yellow by days alone. What a person chose is honoured at every
//! level, until a hole becomes known that was not known when they chose. Only durations are compared, so time zones
//! change nothing; an instant from the future, which a clock that was set back leaves behind, silences nobody for
//! longer than was asked for.

use chrono::{DateTime, TimeDelta, Utc};
use schemars::JsonSchema;
use semver::Version;
use serde::{Deserialize, Serialize};

/// The last day of the first, second and third level.
const SUBTLE_DAYS: i64 = 7;
const YELLOW_DAYS: i64 = 30;
const ORANGE_DAYS: i64 = 60;
/// How far a clock may be set back without anything that was chosen being asked again.
const CLOCK_MAY_SLIP: TimeDelta = TimeDelta::hours(1);

/// How loud.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "u8", into = "u8")]
#[schemars(with = "u8")]
pub enum Level {
    /// One muted line.
    Subtle = 1,
    /// A yellow row.
    Yellow = 2,
    /// Orange: known issues may affect you.
    Orange = 3,
    /// Red, stays, and asks once a day.
    Red = 4,
}

impl From<Level> for u8 {
    fn from(level: Level) -> Self {
        level as Self
    }
}

impl TryFrom<u8> for Level {
    type Error = String;
    fn try_from(number: u8) -> Result<Self, String> {
        [Self::Subtle, Self::Yellow, Self::Orange, Self::Red]
            .into_iter()
            .find(|it| u8::from(*it) == number)
            .ok_or_else(|| format!("there is no level {number}"))
    }
}

impl Level {
    /// The level after so many whole days.
    pub fn after(days: i64) -> Self {
        if days <= SUBTLE_DAYS {
            Self::Subtle
        } else if days <= YELLOW_DAYS {
            Self::Yellow
        } else if days <= ORANGE_DAYS {
            Self::Orange
        } else {
            Self::Red
        }
    }

    /// For how long it can be hidden; red cannot.
    pub fn hidden_for(self) -> Option<TimeDelta> {
        match self {
            Self::Subtle => Some(TimeDelta::days(7)),
            Self::Yellow | Self::Orange => Some(TimeDelta::hours(24)),
            Self::Red => None,
        }
    }
}

/// How bad a security hole is, by those who published it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HoleSeverity {
    /// They did not say.
    #[default]
    Unknown,
    /// Low.
    Low,
    /// Medium.
    Medium,
    /// High.
    High,
    /// Critical.
    Critical,
}

impl std::fmt::Display for HoleSeverity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Unknown => "unknown",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        })
    }
}

/// A published security hole in the version that runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Hole {
    /// Its name: `GHSA-…` or `CVE-…`.
    pub id: String,
    /// How bad it is.
    pub severity: HoleSeverity,
    /// What it is, in one line. A stranger's text.
    pub summary: String,
    /// Where it is described.
    pub url: Option<String>,
    /// The first version without it, where that is told.
    #[schemars(with = "Option<String>")]
    pub fixed_in: Option<Version>,
    /// When Liftlock learned of it.
    pub known_at: DateTime<Utc>,
}

/// A release that is newer than what runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Behind {
    /// Its version.
    pub version: Version,
    /// Since when it is out.
    pub since: DateTime<Utc>,
    /// When Liftlock learned of it.
    pub known_at: DateTime<Utc>,
    /// Whether it, or one on the way to it, cannot take the data along.
    pub breaking: bool,
    /// Whether its notes say that it closes a security hole.
    pub security: bool,
}

/// Something that holds from one instant to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Until {
    /// When it was chosen.
    pub at: DateTime<Utc>,
    /// Until when it holds.
    pub until: DateTime<Utc>,
}

impl Until {
    /// From now on, for so long.
    pub fn from(at: DateTime<Utc>, long: TimeDelta) -> Self {
        Self { at, until: at + long }
    }

    /// Whether it holds: not longer than was asked for, whatever the clock did since.
    pub fn holds(&self, now: DateTime<Utc>) -> bool {
        now < self.until && self.until - now <= (self.until - self.at) + CLOCK_MAY_SLIP
    }
}

/// What a person chose for one installation.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Choices {
    /// The notice was hidden, at this level.
    pub hidden: Option<Hidden>,
    /// They want to be reminded later.
    pub remind: Option<Until>,
    /// They want no notices for a while.
    pub pause: Option<Until>,
    /// Versions that they do not want to hear of.
    pub skipped: Vec<SkippedVersion>,
    /// They stay on this line of releases.
    pub stay: Option<Stay>,
    /// When the daily question was last asked.
    pub asked_at: Option<DateTime<Utc>>,
}

/// A notice that was hidden.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Hidden {
    /// When and for how long.
    #[serde(flatten)]
    pub until: Until,
    /// How loud it was; a louder one is shown again.
    pub level: Level,
}

/// A version that a person does not want to hear of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SkippedVersion {
    /// Which.
    #[schemars(with = "String")]
    pub version: Version,
    /// Since when.
    pub at: DateTime<Utc>,
}

/// The wish to stay on a line of releases.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Stay {
    /// The line: `1`, or `0.3`.
    pub line: String,
    /// Since when.
    pub at: DateTime<Utc>,
}

/// The line of releases that a version belongs to: within it, data is taken along.
pub fn line_of(version: &Version) -> String {
    if version.major == 0 { format!("0.{}", version.minor) } else { version.major.to_string() }
}

/// Everything that decides how loud a notice is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// What runs.
    pub running: Version,
    /// What is newer and can still be had.
    pub behind: Vec<Behind>,
    /// Published holes in what runs.
    pub holes: Vec<Hole>,
    /// What a person chose.
    pub choices: Choices,
    /// Whether an update of this installation runs.
    pub busy: bool,
}

/// Why a notice is not shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum Quiet {
    /// An update runs.
    Busy,
    /// The version was skipped.
    Skipped,
    /// They stay on their line.
    Staying,
    /// Notices are paused.
    Paused,
    /// They want to be reminded later.
    Reminded,
    /// It was hidden.
    Hidden,
}

/// What a person is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// The version that is offered.
    pub to: Version,
    /// How loud.
    pub level: Level,
    /// Whole days since the first release that the installation is behind.
    pub days_behind: i64,
    /// How many releases it is behind.
    pub versions_behind: usize,
    /// Whether the offered version cannot take the data along.
    pub breaking: bool,
    /// The worst published hole in what runs that the offered version closes.
    pub hole: Option<Hole>,
    /// Whether one of the releases it is behind says that it closes a hole.
    pub security: bool,
    /// Why it is not shown.
    pub quiet: Option<Quiet>,
    /// Until when it is not shown.
    pub quiet_until: Option<DateTime<Utc>>,
    /// Whether something that a person chose ended because a hole became known since.
    pub ended_by_security: bool,
    /// Whether the daily question is due.
    pub asks: bool,
}

impl Notice {
    /// Whether it is to be seen now.
    pub fn is_shown(&self) -> bool {
        self.quiet.is_none()
    }
}

/// What a person is told now; `None` where the installation is behind nothing.
pub fn notice(facts: &Facts, now: DateTime<Utc>) -> Option<Notice> {
    let newest = |breaking: bool| facts.behind.iter().filter(|it| it.breaking == breaking).max_by_key(|it| &it.version);
    let closes = |it: &Behind| facts.holes.iter().any(|hole| is_closed(hole, &it.version));
    let offered = match (newest(false), newest(true)) {
        // A hole that only the next line closes cannot be left unsaid.
        (Some(within), Some(beyond)) if !closes(within) && closes(beyond) => beyond,
        (Some(within), _) => within,
        (None, beyond) => beyond?,
    };
    let class: Vec<&Behind> = facts.behind.iter().filter(|it| it.breaking == offered.breaking).collect();
    let first = class.iter().map(|it| it.since).min()?;
    // Released in the future means that a clock is wrong; then it is new.
    let days = (now - first).num_days().max(0);
    let hole = facts.holes.iter().filter(|it| is_closed(it, &offered.version)).max_by_key(|it| it.severity);
    let security = class.iter().any(|it| it.security);
    let level = level(offered.breaking, days, security, hole);

    // What became known after a choice was not part of it.
    let hole_known = facts.holes.iter().filter(|it| is_closed(it, &offered.version)).map(|it| it.known_at).max();
    let release_known = class.iter().filter(|it| it.security && !it.breaking).map(|it| it.known_at).max();
    let known = hole_known.max(release_known);
    let mut ended_by_security = false;
    let mut stands = |at: DateTime<Utc>| {
        let stands = known.is_none_or(|known| known <= at);
        ended_by_security |= !stands;
        stands
    };
    let choices = &facts.choices;
    let skipped = choices.skipped.iter().any(|it| it.version == offered.version && stands(it.at));
    let staying =
        offered.breaking && choices.stay.as_ref().is_some_and(|it| it.line == line_of(&facts.running) && stands(it.at));
    let mut until = |it: Option<Until>| it.filter(|it| it.holds(now) && stands(it.at)).map(|it| it.until);
    let paused = until(choices.pause);
    let reminded = until(choices.remind);
    let hidden = until(choices.hidden.filter(|it| it.level >= level).map(|it| it.until));
    let quiet = [
        (facts.busy, Quiet::Busy),
        (skipped, Quiet::Skipped),
        (staying, Quiet::Staying),
        (paused.is_some(), Quiet::Paused),
        (reminded.is_some(), Quiet::Reminded),
        (hidden.is_some(), Quiet::Hidden),
    ]
    .into_iter()
    .find_map(|(holds, why)| holds.then_some(why));
    let asked = choices.asked_at.is_some_and(|at| Until::from(at, TimeDelta::hours(24)).holds(now));
    Some(Notice {
        to: offered.version.clone(),
        level,
        days_behind: days,
        versions_behind: class.len(),
        breaking: offered.breaking,
        hole: hole.cloned(),
        security,
        quiet,
        quiet_until: paused.max(reminded).max(hidden),
        ended_by_security,
        asks: level == Level::Red && quiet.is_none() && !asked,
    })
}

fn level(breaking: bool, days: i64, security: bool, hole: Option<&Hole>) -> Level {
    let by_days = if breaking { Level::after(days).min(Level::Yellow) } else { Level::after(days) };
    let by_release = if security && !breaking { Level::Orange } else { Level::Subtle };
    let by_hole = match hole.map(|it| it.severity) {
        None => Level::Subtle,
        Some(HoleSeverity::High | HoleSeverity::Critical) => Level::Red,
        Some(HoleSeverity::Unknown | HoleSeverity::Low | HoleSeverity::Medium) => Level::Orange,
    };
    by_days.max(by_release).max(by_hole)
}

/// Whether `version` is without the hole; where no version is told, the newest is the best guess.
fn is_closed(hole: &Hole, version: &Version) -> bool {
    hole.fixed_in.as_ref().is_none_or(|fixed| version >= fixed)
}

#[cfg(test)]
mod tests;
