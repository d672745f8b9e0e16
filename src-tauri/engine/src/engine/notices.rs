//! What an installation is told about updates, and what people choose to hear.

use std::collections::HashMap;
use std::rc::Rc;

use chrono::{DateTime, TimeDelta, Utc};
use semver::Version;

use super::discovery::{key_of, search_view};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::model::ids::InstallationName;
use crate::model::maintenance::Reach;
use crate::model::notice::{Behind, Facts, Hidden, Hole, Notice, Quiet, SkippedVersion, Stay, Until, line_of, notice};
use crate::model::path::path;
use crate::model::profile::{Profile, Releases};
use crate::model::release::{Advisory, Channel};
use crate::model::state::State;
use crate::state::Db;
use crate::state::discovery::{KnownRelease, Repository};
use crate::state::installations::Installation;
use crate::view::{HoleView, NoticeView, UpdateOffer};

/// The longest time for which notices can be paused.
const LONGEST_PAUSE_DAYS: i64 = 366;

/// What a person chooses to hear of an installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// Hide what is shown now: for a week, or a day where it is louder. Red cannot be hidden.
    Hide,
    /// Say nothing about this version; the one that is offered where none is named.
    Skip(Option<String>),
    /// Say it again after so many days.
    Remind(i64),
    /// Say nothing for so many days.
    Pause(i64),
    /// Say nothing about releases beyond this line.
    Stay,
    /// The daily question was asked.
    Asked,
    /// Take back every choice.
    HearAll,
    /// Take back that a version is skipped.
    Unskip(String),
}

/// What is read once and used for many installations.
pub(super) struct Shelf<'d> {
    db: &'d Db,
    repositories: HashMap<String, Rc<Known>>,
}

struct Known {
    repository: Repository,
    releases: Vec<KnownRelease>,
    advisories: Vec<(Advisory, DateTime<Utc>)>,
}

impl<'d> Shelf<'d> {
    pub(super) fn new(db: &'d Db) -> Self {
        Self { db, repositories: HashMap::new() }
    }

    fn of(&mut self, key: String) -> Result<Rc<Known>> {
        if let Some(known) = self.repositories.get(&key) {
            return Ok(Rc::clone(known));
        }
        let known = Rc::new(Known {
            repository: self.db.repository(&key)?,
            releases: self.db.known_releases(&key)?,
            advisories: self.db.advisories(&key)?,
        });
        self.repositories.insert(key, Rc::clone(&known));
        Ok(known)
    }
}

impl Engine {
    /// What every installation is told about updates, from what is known; nobody is asked.
    ///
    /// # Errors
    /// Those of the state itself. An installation whose profile cannot be read is left out.
    pub fn notices(&self) -> Result<Vec<NoticeView>> {
        let db = self.db()?;
        let mut shelf = Shelf::new(&db);
        let mut views = Vec::new();
        for installation in db.installations()? {
            // What was set aside stays as it is.
            if super::fresh::is_set_aside(&db, &installation.name)?.is_some() {
                continue;
            }
            if let Ok(profile) = self.profile_of(&installation) {
                views.push(self.notice_of(&mut shelf, &installation, &profile)?);
            }
        }
        Ok(views)
    }

    /// Chooses what to hear of an installation; answers what it is told from now on.
    ///
    /// # Errors
    /// `unknown_installation`; `nothing_to_hide`, `red_stays`, `nothing_to_skip`, `nothing_to_stay_on`, `bad_days`.
    pub fn choose_notices(&self, name: &InstallationName, choice: Choice) -> Result<NoticeView> {
        let mut db = self.db()?;
        let now = self.clock.now();
        let told = self.notice(name)?;
        let days = |days: i64| {
            if (1..=LONGEST_PAUSE_DAYS).contains(&days) {
                return Ok(Until::from(now, TimeDelta::days(days)));
            }
            Err(Error::usage("bad_days", format!("Notices cannot be put off for {days} days."))
                .remedy(format!("Give a number of days from 1 to {LONGEST_PAUSE_DAYS}.")))
        };
        db.change_choices(name, |choices| {
            match choice {
                Choice::Hide => {
                    let level = told.offer.as_ref().ok_or_else(|| nothing(name, "nothing_to_hide"))?.level;
                    let long = level.hidden_for().ok_or_else(|| {
                        Error::refused("red_stays", "This notice stays until the update is made or put off.").remedy(
                            format!("`liftlock notice remind {name}` puts it off for a day; `skip` and `pause` do for longer."),
                        )
                    })?;
                    choices.hidden = Some(Hidden { until: Until::from(now, long), level });
                }
                Choice::Skip(wanted) => {
                    let version = match wanted {
                        Some(text) => version(&text)?,
                        None => offered(&told).ok_or_else(|| nothing(name, "nothing_to_skip"))?,
                    };
                    choices.skipped.retain(|it| it.version != version);
                    choices.skipped.push(SkippedVersion { version, at: now });
                }
                Choice::Remind(number) => choices.remind = Some(days(number)?),
                Choice::Pause(number) => choices.pause = Some(days(number)?),
                Choice::Stay => {
                    let running = told.version.as_ref().and_then(|it| Version::parse(it).ok());
                    let running = running.ok_or_else(|| {
                        Error::refused("nothing_to_stay_on", format!("Nobody knows yet which version of {name} runs."))
                            .remedy(format!("`liftlock check {name}` asks it."))
                    })?;
                    choices.stay = Some(Stay { line: line_of(&running), at: now });
                }
                Choice::Asked => choices.asked_at = Some(now),
                Choice::HearAll => {
                    *choices = crate::model::notice::Choices { asked_at: choices.asked_at, ..Default::default() };
                }
                Choice::Unskip(text) => {
                    let version = version(&text)?;
                    choices.skipped.retain(|it| it.version != version);
                }
            }
            Ok(())
        })?;
        self.notice(name)
    }

    /// Takes the right to show a notification of the desktop: once for a version and level, never twice, and only for
    /// what is to be seen now. Whoever wants to be left alone is told afterwards.
    ///
    /// # Errors
    /// `unknown_installation`; those of the state itself.
    pub fn announce(&self, name: &InstallationName) -> Result<Option<UpdateOffer>> {
        let told = self.notice(name)?;
        let Some(offer) = told.offer.filter(|it| it.quiet.is_none()) else { return Ok(None) };
        let mut db = self.db()?;
        if db.is_announced(name, &offer.to, offer.level)? || self.wants_quiet() {
            return Ok(None);
        }
        let first = db.claim_announcement(name, &offer.to, offer.level, self.clock.now())?;
        Ok(first.then_some(offer))
    }

    /// Whether a person wants the desktop to tell things: new versions, or what is more important than them.
    pub fn notifies(&self, of_releases: bool) -> bool {
        let chosen = self.db().and_then(|db| db.setting("notifications"));
        chosen.map_or(true, |it| it == "all" || (it == "important" && !of_releases))
    }

    pub(super) fn notice_of(
        &self,
        shelf: &mut Shelf<'_>,
        installation: &Installation,
        profile: &Profile,
    ) -> Result<NoticeView> {
        let known = shelf.of(key_of(profile))?;
        let choices = shelf.db.choices(&installation.name)?;
        let search = search_view(&known.repository);
        let running = installation.version.as_ref().and_then(|it| Version::parse(it).ok());
        let mut view = NoticeView {
            installation: installation.name.clone(),
            version: installation.version.clone(),
            offer: None,
            holes: Vec::new(),
            choices,
            search,
        };
        let Some(running) = running else { return Ok(view) };
        let newest = shelf.db.newest_upgrade(&installation.name)?;
        let has_ended = |state: State| matches!(state, State::Complete | State::RolledBack | State::Failed);
        let facts = Facts {
            behind: behind(&profile.releases, &known.releases, &running),
            holes: holes(&known.advisories, &running),
            choices: view.choices.clone(),
            busy: newest.is_some_and(|it| !has_ended(it.state)),
            running,
        };
        view.holes = facts.holes.iter().map(HoleView::from).collect();
        if let Some(told) = notice(&facts, self.clock.now()) {
            // The question would stand between a person and what they look at.
            let asks = told.asks && !self.wants_quiet();
            let offer = offer(&profile.releases, &known.releases, &facts, &told);
            view.offer = Some(UpdateOffer { asks, ..offer });
        }
        Ok(view)
    }
}

/// The newest release within reach that nobody skipped; never one beyond a breaking release.
pub(super) fn newest_within(
    db: &Db,
    installation: &Installation,
    profile: &Profile,
    reach: Reach,
) -> Result<Option<Version>> {
    let running = installation.version.as_ref().and_then(|it| Version::parse(it).ok());
    let Some(running) = running else { return Ok(None) };
    let skipped = db.choices(&installation.name)?.skipped;
    let known = db.known_releases(&key_of(profile))?;
    let fit = behind(&profile.releases, &known, &running).into_iter().filter(|it| {
        !it.breaking && reach.holds(&running, &it.version) && skipped.iter().all(|skip| skip.version != it.version)
    });
    Ok(fit.map(|it| it.version).max())
}

pub(super) fn version(text: &str) -> Result<Version> {
    Version::parse(text.trim_start_matches('v')).map_err(|cause| {
        Error::usage("bad_version", format!("“{}” is not a version.", text.escape_debug()))
            .remedy("Give it as 1.2.3; `liftlock releases` lists what is out.")
            .because(&cause)
    })
}

fn offered(told: &NoticeView) -> Option<Version> {
    told.offer.as_ref().and_then(|it| Version::parse(&it.to).ok())
}

fn nothing(name: &InstallationName, class: &'static str) -> Error {
    Error::refused(class, format!("Nothing newer is known for {name}."))
        .remedy(format!("`liftlock check --releases {name}` looks for new releases."))
}

/// Releases by version, oldest first, as the profile reads their tags.
fn readable<'r>(profile: &Releases, known: &'r [KnownRelease]) -> Vec<(Version, &'r KnownRelease)> {
    let mut all: Vec<_> = known
        .iter()
        .filter_map(|it| Some((profile.tag.version(&it.tag).ok()?, it)))
        .filter(|(version, it)| profile.channel != Channel::Stable || (version.pre.is_empty() && !it.prerelease))
        .collect();
    all.sort_by(|(one, _), (other, _)| one.cmp(other));
    all
}

/// What is newer than what runs. Whatever lies beyond a breaking release is breaking too.
fn behind(profile: &Releases, known: &[KnownRelease], running: &Version) -> Vec<Behind> {
    let mut beyond = false;
    readable(profile, known)
        .into_iter()
        .filter(|(version, _)| version > running)
        .map(|(version, it)| {
            beyond |= profile.is_breaking(Some(running), &version, it.breaking);
            Behind { version, since: it.since(), known_at: it.first_seen_at, breaking: beyond, security: it.security }
        })
        .collect()
}

/// Published holes in what runs, the worst first.
fn holes(advisories: &[(Advisory, DateTime<Utc>)], running: &Version) -> Vec<Hole> {
    let mut holes: Vec<Hole> = advisories
        .iter()
        .filter_map(|(advisory, known_at)| {
            Some(Hole {
                fixed_in: advisory.touches(running)?,
                id: advisory.cve.clone().unwrap_or_else(|| advisory.id.clone()),
                severity: advisory.severity,
                summary: advisory.summary.clone(),
                url: advisory.url.clone(),
                known_at: *known_at,
            })
        })
        .collect();
    holes.sort_by_key(|it| std::cmp::Reverse(it.severity));
    holes
}

fn offer(profile: &Releases, known: &[KnownRelease], facts: &Facts, told: &Notice) -> UpdateOffer {
    let all = readable(profile, known);
    let target = all.iter().find(|(version, _)| *version == told.to).map(|(_, it)| *it);
    let fit: Vec<Version> =
        facts.behind.iter().filter(|it| told.breaking || !it.breaking).map(|it| it.version.clone()).collect();
    let way = path(&facts.running, &told.to, &fit, &profile.required_stops, &profile.not_directly);
    UpdateOffer {
        to: told.to.to_string(),
        level: told.level,
        days_behind: told.days_behind,
        versions_behind: told.versions_behind,
        breaking: told.breaking,
        reasons: if told.breaking { reasons(profile, &all, facts) } else { Vec::new() },
        security: told.hole.as_ref().map(HoleView::from),
        closes_holes: told.security,
        headline: target.and_then(|it| it.headline.clone()),
        published_at: target.and_then(|it| it.published_at),
        quiet: told.quiet,
        quiet_until: told.quiet_until,
        skipped: told.quiet == Some(Quiet::Skipped),
        ended_by_security: told.ended_by_security,
        asks: told.asks,
        line: told.breaking.then(|| line_of(&facts.running)),
        path: way.map(|it| it.iter().map(ToString::to_string).collect()).unwrap_or_default(),
    }
}

/// Why the first breaking release on the way is one, in sentences.
fn reasons(profile: &Releases, all: &[(Version, &KnownRelease)], facts: &Facts) -> Vec<String> {
    let running = &facts.running;
    let first =
        all.iter().find(|(version, it)| version > running && profile.is_breaking(Some(running), version, it.breaking));
    let Some((version, release)) = first else { return Vec::new() };
    let mut reasons = Vec::new();
    let (from, to) = (line_of(running), line_of(version));
    if from != to {
        reasons.push(format!("{version} begins another line of releases: {from} becomes {to}."));
    }
    if release.breaking {
        reasons.push(format!("The release notes of {version} announce breaking changes."));
    }
    if profile.breaking.contains(version) {
        reasons.push(format!("{version} is known not to take older data along."));
    }
    reasons
}
