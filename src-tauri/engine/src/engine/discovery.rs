//! Looking for releases: when, whom, and what is remembered of the answer.
//!
//! A repository is asked once for all installations that come from it. Being offline is a state and not an error:
//! what is shown then is the last good answer with its age, and the search goes on by itself.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use chrono::{DateTime, TimeDelta, Utc};

use crate::drivers::Gate;
use crate::drivers::command::secret;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::model::ids::InstallationName;
use crate::model::profile::Profile;
use crate::ports::{Answer, EtagCache, Reporter};
use crate::process::Silent;
use crate::releases::{Inquiry, Line, Listing, Release, Source, Told, Waits, discover, remembered};
use crate::state::Db;
use crate::state::discovery::{KnownRelease, Learned, Repository};
use crate::state::installations::Installation;
use crate::view::{
    ErrorView, NoticeView, ReleaseView, ReleasesView, RepositoryView, RoundView, SearchView, SkippedTag,
};

/// A round asks little and often: what fails now is asked again by the next round.
pub(super) const WAITS: Waits = Waits {
    connect: Duration::from_secs(10),
    stall: Duration::from_secs(15),
    answer: Duration::from_secs(60),
    attempts: 2,
    pause: Duration::from_millis(500),
    patience: Duration::ZERO,
};
/// How many repositories are asked at a time.
const AT_ONCE: usize = 8;
/// Advisories may be published without a release.
const ADVISORIES_EVERY: TimeDelta = TimeDelta::days(7);
/// How soon after a failure it is tried again for the first time.
const SOON: Duration = Duration::from_secs(5 * 60);
/// No server is believed that asks for more patience than this; its clock, or ours, is wrong.
const LONGEST_WAIT: TimeDelta = TimeDelta::hours(25);

/// Whether only those are asked that are due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// Only where it is time.
    WhereDue,
    /// Everywhere, because a person asks. A server that wants to be left alone still is.
    Now,
}

/// A repository and the installations that come from it.
struct Group {
    key: String,
    source: Result<Source>,
    host: String,
    repository: String,
    members: usize,
    known: Repository,
    asked: bool,
    changed: bool,
}

impl Engine {
    /// Looks for releases: of one installation, or of all. What goes wrong is told in the answer, with the last good
    /// answer beside it.
    ///
    /// # Errors
    /// `unknown_installation`; those of the state itself.
    pub fn check_releases(
        &self,
        name: Option<&InstallationName>,
        look: Look,
        reporter: &dyn Reporter,
    ) -> Result<RoundView> {
        let db = self.db()?;
        let mut installations = match name {
            Some(name) => vec![db.installation(name)?],
            None => db.installations()?,
        };
        let mut groups: BTreeMap<String, Group> = BTreeMap::new();
        let mut profiles: BTreeMap<String, Profile> = BTreeMap::new();
        let repositories = db.repositories()?;
        for installation in &installations {
            // A profile that cannot be read is said by every verb about its installation, and stops no other.
            let Ok(profile) = self.known_profile(&mut profiles, installation) else { continue };
            join(&mut groups, &repositories, profile, installation);
        }
        self.ask_groups(db, &mut groups, look, reporter)?;

        let db = self.db()?;
        let mut read = super::notices::Shelf::new(&db);
        installations.retain(|it| profiles.contains_key(&it.profile));
        let mut notices = Vec::new();
        for installation in &installations {
            let profile = &profiles[&installation.profile];
            notices.push(self.notice_of(&mut read, installation, profile)?);
        }
        let asked = groups.values().filter(|it| it.asked).count();
        let changed = groups.values().filter(|it| it.changed).count();
        let repositories = groups.into_values().map(|it| it.view()).collect();
        Ok(RoundView { asked, changed, repositories, installations: notices })
    }

    /// Profiles are read once, however many installations share one.
    fn known_profile<'p>(
        &self,
        profiles: &'p mut BTreeMap<String, Profile>,
        installation: &Installation,
    ) -> Result<&'p Profile> {
        if !profiles.contains_key(&installation.profile) {
            profiles.insert(installation.profile.clone(), self.profile_of(installation)?);
        }
        profiles.get(&installation.profile).ok_or_else(|| Error::bug("profile_gone", "A profile was read and is gone."))
    }

    fn ask_groups(
        &self,
        db: Db,
        groups: &mut BTreeMap<String, Group>,
        look: Look,
        reporter: &dyn Reporter,
    ) -> Result<()> {
        let now = self.clock.now();
        let hours: i64 = db.setting("check_interval_hours")?.parse().unwrap_or(24);
        let interval = TimeDelta::hours(hours);
        let mut learned = Vec::new();
        let mut asked = Vec::new();
        let mut inquiries = Vec::new();
        for group in groups.values_mut() {
            if !is_asked(&group.known, look, interval, now) {
                continue;
            }
            group.asked = true;
            match &group.source {
                Err(error) => {
                    let outcome = Err(error.clone());
                    learned.push(learn(group, outcome, interval, now));
                }
                Ok(source) => {
                    let due = |at: DateTime<Utc>| now - at >= ADVISORIES_EVERY || at > now;
                    inquiries.push(Inquiry {
                        source: source.clone(),
                        all: group.known.answered_at.is_none(),
                        advisories: group.known.advised_at.is_none_or(due),
                    });
                    asked.push(group.key.clone());
                }
            }
        }
        let cache = Shelf { db: Mutex::new(db), touched: Mutex::default() };
        let line = Line { clock: self.clock.as_ref(), cache: &cache, reporter, waits: self.waits };
        let answers = discover(&inquiries, &line, AT_ONCE)?;
        // The time after the answers, so that nothing seems to have been known before it was.
        let now = self.clock.now();
        for (key, outcome) in asked.iter().zip(answers) {
            if let Some(group) = groups.get_mut(key) {
                learned.push(learn(group, outcome, interval, now));
            }
        }
        let mut db = cache.db.into_inner().unwrap_or_else(PoisonError::into_inner);
        let touched = cache.touched.into_inner().unwrap_or_else(PoisonError::into_inner);
        if !touched.is_empty() {
            db.answers_still_hold(&touched, now)?;
        }
        if !learned.is_empty() {
            db.learn(&learned, now)?;
        }
        Ok(())
    }

    /// The releases of one installation, asked now; where that brings no answer, the last good one with its age.
    ///
    /// # Errors
    /// `unknown_installation`; what the release server answers, where it has never answered before.
    pub fn releases(&self, name: &InstallationName) -> Result<ReleasesView> {
        let installation = self.db()?.installation(name)?;
        let profile = self.profile_of(&installation)?;
        let asked = self.site(&installation).and_then(|it| it.ask_version(Gate::Public, &Silent)).ok();
        if let Some(running) = &asked {
            self.db()?.observe_version(name, &running.to_string(), self.clock.now())?;
        }
        // One that is down still has a version, and people want to know what is out.
        let running = asked.or_else(|| installation.version.as_ref().and_then(|it| it.parse().ok()));
        let round = self.check_releases(Some(name), Look::Now, &Silent)?;
        let db = self.db()?;
        let known = db.repository(&key_of(&profile))?;
        let cache = cache_of(db);
        let listing = listing_of(&profile, &installation, &known, &cache)?;
        let Some(listing) = listing else {
            return Err(known
                .problem
                .unwrap_or_else(|| Error::bug("no_listing", "Releases were asked for and are not there.")));
        };
        let is_newer = |version: &semver::Version| running.as_ref().is_none_or(|it| version > it);
        let is_breaking = |it: &Release| profile.releases.is_breaking(running.as_ref(), &it.version, it.breaking);
        // Whatever lies beyond a breaking release is not reached by an ordinary upgrade either.
        let within = listing.releases.iter().rev().filter(|it| is_newer(&it.version)).take_while(|it| !is_breaking(it));
        let latest = within.last().map(|it| it.version.to_string());
        let search = round.repositories.into_iter().next().map(|it| it.search).unwrap_or_else(|| search_view(&known));
        Ok(ReleasesView {
            installation: name.clone(),
            version: running.as_ref().map(ToString::to_string),
            latest,
            checked_at: known.answered_at.unwrap_or(listing.fetched_at),
            search,
            moved_to: known.moved_to.or(listing.moved_to),
            releases: listing
                .releases
                .iter()
                .map(|it| ReleaseView {
                    version: it.version.to_string(),
                    tag: it.tag.clone(),
                    published_at: it.published_at,
                    prerelease: it.prerelease,
                    breaking: is_breaking(it),
                    newer: is_newer(&it.version),
                    notes: it.notes.clone(),
                })
                .collect(),
            skipped: listing.skipped.into_iter().map(|it| SkippedTag { tag: it.tag, why: it.why }).collect(),
        })
    }

    /// What an installation is told about updates, from what is known; nobody is asked.
    ///
    /// # Errors
    /// `unknown_installation`; a profile that cannot be read.
    pub fn notice(&self, name: &InstallationName) -> Result<NoticeView> {
        let db = self.db()?;
        let installation = db.installation(name)?;
        let profile = self.profile_of(&installation)?;
        self.notice_of(&mut super::notices::Shelf::new(&db), &installation, &profile)
    }
}

/// Where an installation's releases are asked for: under the name that the repository has now.
pub(super) fn source_of(profile: &Profile, installation: &Installation) -> Result<Source> {
    let releases = &profile.releases;
    let token = releases.token.as_ref().map(|it| secret(it, &installation.folder)).transpose()?;
    let source = Source::of(releases, token, &installation.folder);
    source.check()?;
    Ok(source)
}

/// Remembered answers of the state.
pub(super) fn cache_of(db: Db) -> impl EtagCache {
    Shelf { db: Mutex::new(db), touched: Mutex::default() }
}

/// The last good answer about an installation's releases.
pub(super) fn listing_of(
    profile: &Profile,
    installation: &Installation,
    known: &Repository,
    cache: &dyn EtagCache,
) -> Result<Option<Listing>> {
    // Nobody is asked, so no token is needed; what is known is known with the keychain locked too.
    let source = Source::of(&profile.releases, None, &installation.folder);
    source.check()?;
    // In the round in which a repository was found to have moved, it was asked under its old name.
    match remembered(&moved(source.clone(), known), cache)? {
        Some(listing) => Ok(Some(listing)),
        None => remembered(&source, cache),
    }
}

/// The key of the repository of a profile, whatever its token.
pub(super) fn key_of(profile: &Profile) -> String {
    Source::of(&profile.releases, None, std::path::Path::new("/")).key()
}

fn moved(source: Source, known: &Repository) -> Source {
    match &known.moved_to {
        Some(name) => Source { repository: name.clone(), ..source },
        None => source,
    }
}

fn join(
    groups: &mut BTreeMap<String, Group>,
    repositories: &BTreeMap<String, Repository>,
    profile: &Profile,
    installation: &Installation,
) {
    let key = key_of(profile);
    let group = groups.entry(key.clone()).or_insert_with(|| {
        let known = repositories.get(&key).cloned().unwrap_or_default();
        let source = source_of(profile, installation).map(|it| moved(it, &known));
        let host = Source::of(&profile.releases, None, &installation.folder).host();
        let repository = profile.releases.repository.clone();
        Group { key, source, host, repository, members: 0, known, asked: false, changed: false }
    });
    group.members += 1;
    // One with a token sees more, and has a limit of its own.
    if profile.releases.token.is_some()
        && group.source.as_ref().is_ok_and(|it| it.token.is_none())
        && let Ok(source) = source_of(profile, installation)
    {
        group.source = Ok(moved(source, &group.known));
    }
}

/// Whether a repository is asked in this round.
fn is_asked(known: &Repository, look: Look, interval: TimeDelta, now: DateTime<Utc>) -> bool {
    // What lies too far ahead was written under a clock that went wrong.
    let ahead = |at: Option<DateTime<Utc>>, most: TimeDelta| at.filter(|at| *at > now && *at - now <= most);
    if ahead(known.wait_until, LONGEST_WAIT).is_some() {
        return false;
    }
    look == Look::Now || ahead(known.next_check_at, interval * 2).is_none()
}

/// What an answer means for the repository: how it stands, and when it is asked next.
fn learn(group: &mut Group, outcome: Result<Told>, interval: TimeDelta, now: DateTime<Utc>) -> Learned {
    let mut known = Repository { asked_at: Some(now), wait_until: None, ..group.known.clone() };
    let mut learned = Learned {
        source: group.key.clone(),
        repository: Repository::default(),
        releases: None,
        cut_short: false,
        advisories: None,
    };
    match outcome {
        Ok(told) => {
            known.answered_at = Some(now);
            known.next_check_at = Some(now + interval.mul_f(0.9 + 0.2 * random()));
            known.failures = 0;
            known.failing_since = None;
            known.problem = None;
            known.moved_to = told.moved_to.or(known.moved_to);
            if told.advisories.is_some() {
                known.advised_at = Some(now);
            }
            group.changed = told.releases.is_some();
            learned.cut_short = told.cut_short;
            learned.advisories = told.advisories;
            learned.releases = told.releases.map(|all| {
                let known = |it: crate::releases::ToldRelease| KnownRelease {
                    tag: it.tag,
                    published_at: it.published_at,
                    first_seen_at: now,
                    prerelease: it.prerelease,
                    breaking: it.breaking,
                    security: it.security,
                    headline: it.headline,
                };
                all.into_iter().map(known).collect()
            });
        }
        Err(error) => {
            known.failures = known.failures.saturating_add(1);
            known.failing_since.get_or_insert(now);
            known.wait_until = retry_at(&error);
            let pause = now + backed_off(known.failures, interval);
            // Not all at the very second at which the server opens again.
            let opened = known.wait_until.map(|it| it + TimeDelta::seconds((60.0 * random()) as i64));
            known.next_check_at = Some(opened.map_or(pause, |it| it.max(now)));
            // A new name that is not there any more is forgotten; the old one may be again.
            if error.class == "repository_missing" && known.moved_to.take().is_some() {
                known.next_check_at = Some(now);
            }
            known.problem = Some(error);
        }
    }
    group.known = known.clone();
    learned.repository = known;
    learned
}

/// When a server said that it may be asked again.
fn retry_at(error: &Error) -> Option<DateTime<Utc>> {
    let text = error.details.iter().find_map(|it| it.strip_prefix("retry_at "))?;
    DateTime::parse_from_rfc3339(text).ok().map(|it| it.with_timezone(&Utc))
}

/// Longer and longer, never longer than it is asked anyway.
fn backed_off(failures: u32, interval: TimeDelta) -> TimeDelta {
    let most = interval.to_std().unwrap_or(SOON);
    let pauses = ExponentialBuilder::default()
        .with_min_delay(SOON)
        .with_max_delay(most)
        .without_max_times()
        .with_jitter()
        .build();
    let pause = pauses.into_iter().nth(failures.clamp(1, 20) as usize - 1).unwrap_or(most).min(most);
    TimeDelta::from_std(pause).unwrap_or(interval)
}

/// From 0 to 1. Only spreads load, so any number will do.
fn random() -> f64 {
    let bits = (uuid::Uuid::new_v4().as_u128() >> 8) as u32;
    f64::from(bits) / f64::from(u32::MAX)
}

trait MulF {
    fn mul_f(self, by: f64) -> Self;
}

impl MulF for TimeDelta {
    fn mul_f(self, by: f64) -> Self {
        Self::milliseconds((self.num_milliseconds() as f64 * by) as i64)
    }
}

impl Group {
    fn view(self) -> RepositoryView {
        RepositoryView {
            host: self.host,
            repository: self.repository,
            moved_to: self.known.moved_to.clone(),
            installations: self.members,
            asked: self.asked,
            search: search_view(&self.known),
        }
    }
}

/// How the search stands.
pub(super) fn search_view(known: &Repository) -> SearchView {
    SearchView {
        checked_at: known.answered_at,
        next_check_at: known.next_check_at,
        waits_until: known.wait_until,
        failing_since: known.failing_since,
        problem: known.problem.as_ref().map(ErrorView::from),
    }
}

/// Remembers answers in the state. That nothing has changed is written down once for a whole round.
struct Shelf {
    db: Mutex<Db>,
    touched: Mutex<Vec<String>>,
}

impl EtagCache for Shelf {
    fn find(&self, url: &str) -> Result<Option<Answer>> {
        self.db.lock().unwrap_or_else(PoisonError::into_inner).answer(url)
    }
    fn keep(&self, url: &str, answer: &Answer) -> Result<()> {
        self.db.lock().unwrap_or_else(PoisonError::into_inner).remember_answer(url, answer)
    }
    fn still_holds(&self, url: &str, _at: DateTime<Utc>) -> Result<()> {
        self.touched.lock().unwrap_or_else(PoisonError::into_inner).push(url.to_owned());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_790_000_000 + minutes * 60, 0).unwrap()
    }

    #[test]
    fn a_repository_is_asked_when_it_is_due_and_left_alone_when_its_server_wants_that() {
        let day = TimeDelta::days(1);
        let known = |next: Option<i64>, wait: Option<i64>| Repository {
            next_check_at: next.map(at),
            wait_until: wait.map(at),
            ..Repository::default()
        };
        let year = 365 * 24 * 60;
        for (what, known, due, now) in [
            ("never asked", known(None, None), true, true),
            ("due", known(Some(0), None), true, true),
            ("not due", known(Some(1), None), false, true),
            ("the server waits", known(Some(-1), Some(1)), false, false),
            ("it has waited", known(Some(-1), Some(0)), true, true),
            ("the clock was a year ahead", known(Some(year), Some(year)), true, true),
        ] {
            assert_eq!(is_asked(&known, Look::WhereDue, day, at(0)), due, "{what}");
            assert_eq!(is_asked(&known, Look::Now, day, at(0)), now, "{what}, asked by a person");
        }
    }

    #[test]
    fn a_server_that_fails_is_asked_less_and_less_but_never_less_than_always() {
        let day = TimeDelta::days(1);
        let first = backed_off(1, day);
        assert!(first >= TimeDelta::minutes(5) && first <= TimeDelta::minutes(10), "{first}");
        let fourth = backed_off(4, day);
        assert!(fourth >= TimeDelta::minutes(40) && fourth <= TimeDelta::minutes(80), "{fourth}");
        assert_eq!(backed_off(4_000_000_000, day), day);
        assert!(backed_off(9, TimeDelta::hours(1)) <= TimeDelta::hours(1));
    }
}
