//! The rows of `repository`, `release`, `advisory`, `notice` and `announced`: what is out as last told, when it is
//! asked again, and what people chose to hear of it.

use std::collections::{BTreeMap, HashSet};

use chrono::{DateTime, Utc};
use rusqlite::{OptionalExtension, Row, Transaction, params};

use crate::error::{Error, Result};
use crate::model::ids::InstallationName;
use crate::model::notice::{Choices, Level};
use crate::model::release::Advisory;
use crate::state::upgrades::{instant, optional_instant, stamp};
use crate::state::{Db, from_json, to_json};

/// What is known of a repository as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Repository {
    /// The `owner/name` under which it now lives, if not the one that profiles name.
    pub moved_to: Option<String>,
    /// When it was last asked.
    pub asked_at: Option<DateTime<Utc>>,
    /// When it last answered.
    pub answered_at: Option<DateTime<Utc>>,
    /// When it is asked next.
    pub next_check_at: Option<DateTime<Utc>>,
    /// Until when its server wants to be left alone.
    pub wait_until: Option<DateTime<Utc>>,
    /// Attempts in a row without an answer.
    pub failures: u32,
    /// Since when.
    pub failing_since: Option<DateTime<Utc>>,
    /// Why the last attempt brought none.
    pub problem: Option<Error>,
    /// When its advisories were last asked for.
    pub advised_at: Option<DateTime<Utc>>,
}

/// A release as it was last told, by its tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownRelease {
    /// Its tag. A stranger's text.
    pub tag: String,
    /// When it was published, by the earliest word of its publisher.
    pub published_at: Option<DateTime<Utc>>,
    /// When Liftlock first saw it.
    pub first_seen_at: DateTime<Utc>,
    /// Whether its publisher calls it unfinished.
    pub prerelease: bool,
    /// Whether its notes speak of breaking changes.
    pub breaking: bool,
    /// Whether its notes speak of a closed security hole.
    pub security: bool,
    /// The first thing that its notes say.
    pub headline: Option<String>,
}

impl KnownRelease {
    /// Since when it is out. A date later than the day on which it was seen is not believed.
    pub fn since(&self) -> DateTime<Utc> {
        self.published_at.map_or(self.first_seen_at, |it| it.min(self.first_seen_at))
    }
}

/// What one round learned of one repository.
#[derive(Debug, Clone)]
pub struct Learned {
    /// The key of the repository.
    pub source: String,
    /// How it stands now.
    pub repository: Repository,
    /// Every published release, where they are known anew.
    pub releases: Option<Vec<KnownRelease>>,
    /// Whether there may be more of them.
    pub cut_short: bool,
    /// Its advisories, where they are known anew.
    pub advisories: Option<Vec<Advisory>>,
}

fn read(row: &Row<'_>) -> Result<(String, Repository)> {
    let when = |column: &str| -> Result<Option<DateTime<Utc>>> { optional_instant(row.get(column)?) };
    Ok((
        row.get("source")?,
        Repository {
            moved_to: row.get("moved_to")?,
            asked_at: when("asked_at")?,
            answered_at: when("answered_at")?,
            next_check_at: when("next_check_at")?,
            wait_until: when("wait_until")?,
            failures: row.get("failures")?,
            failing_since: when("failing_since")?,
            problem: row.get::<_, Option<String>>("problem")?.map(|it| from_json(&it)).transpose()?,
            advised_at: when("advised_at")?,
        },
    ))
}

impl Db {
    /// What is known of every repository, by its key.
    ///
    /// # Errors
    /// Those of the state itself.
    pub fn repositories(&self) -> Result<BTreeMap<String, Repository>> {
        self.conn.prepare_cached("SELECT * FROM repository")?.query_and_then([], read)?.collect()
    }

    /// What is known of one repository; nothing where it was never asked.
    ///
    /// # Errors
    /// Those of the state itself.
    pub fn repository(&self, source: &str) -> Result<Repository> {
        let mut statement = self.conn.prepare_cached("SELECT * FROM repository WHERE source = ?1")?;
        let found = statement.query_and_then([source], read)?.next().transpose()?;
        Ok(found.map(|(_, it)| it).unwrap_or_default())
    }

    /// Remembers what one round learned, all of it or nothing.
    ///
    /// # Errors
    /// Those of the state itself.
    pub fn learn(&mut self, all: &[Learned], now: DateTime<Utc>) -> Result<()> {
        let tx = self.write()?;
        for learned in all {
            learn_repository(&tx, &learned.source, &learned.repository)?;
            if let Some(releases) = &learned.releases {
                learn_releases(&tx, &learned.source, releases, learned.cut_short, now)?;
            }
            if let Some(advisories) = &learned.advisories {
                learn_advisories(&tx, &learned.source, advisories, now)?;
            }
        }
        tx.commit()?;
        Ok(())
    }

    /// Remembers that answers still held.
    ///
    /// # Errors
    /// Those of the state itself.
    pub fn answers_still_hold(&mut self, urls: &[String], at: DateTime<Utc>) -> Result<()> {
        let tx = self.write()?;
        for url in urls {
            tx.prepare_cached("UPDATE answer SET fetched_at = ?2 WHERE url = ?1")?.execute(params![url, stamp(at)])?;
        }
        tx.commit()?;
        Ok(())
    }

    /// The releases of a repository that were not withdrawn.
    ///
    /// # Errors
    /// Those of the state itself.
    pub fn known_releases(&self, source: &str) -> Result<Vec<KnownRelease>> {
        self.conn
            .prepare_cached(
                "SELECT tag, published_at, first_seen_at, prerelease, breaking, security, headline FROM release \
                 WHERE source = ?1 AND withdrawn_at IS NULL",
            )?
            .query_and_then([source], |row| {
                Ok(KnownRelease {
                    tag: row.get(0)?,
                    published_at: optional_instant(row.get(1)?)?,
                    first_seen_at: instant(&row.get::<_, String>(2)?)?,
                    prerelease: row.get(3)?,
                    breaking: row.get(4)?,
                    security: row.get(5)?,
                    headline: row.get(6)?,
                })
            })?
            .collect()
    }

    /// The advisories of a repository, each with the instant at which Liftlock learned of it.
    ///
    /// # Errors
    /// Those of the state itself.
    pub fn advisories(&self, source: &str) -> Result<Vec<(Advisory, DateTime<Utc>)>> {
        self.conn
            .prepare_cached("SELECT document, first_seen_at FROM advisory WHERE source = ?1 ORDER BY id")?
            .query_and_then([source], |row| {
                Ok((from_json(&row.get::<_, String>(0)?)?, instant(&row.get::<_, String>(1)?)?))
            })?
            .collect()
    }

    /// What a person chose about the notices of an installation.
    ///
    /// # Errors
    /// Those of the state itself.
    pub fn choices(&self, name: &InstallationName) -> Result<Choices> {
        let found: Option<String> = self
            .conn
            .prepare_cached("SELECT choices FROM notice WHERE installation = ?1")?
            .query_row([name.as_str()], |row| row.get(0))
            .optional()?;
        Ok(found.map(|it| from_json(&it)).transpose()?.unwrap_or_default())
    }

    /// Changes what a person chose; two who choose at the same time do not undo each other.
    ///
    /// # Errors
    /// Those of the state itself; what `change` answers, and then nothing is changed.
    pub fn change_choices<T>(
        &mut self,
        name: &InstallationName,
        change: impl FnOnce(&mut Choices) -> Result<T>,
    ) -> Result<T> {
        let tx = self.write()?;
        let found: Option<String> = tx
            .query_row("SELECT choices FROM notice WHERE installation = ?1", [name.as_str()], |row| row.get(0))
            .optional()?;
        let mut choices = found.map(|it| from_json(&it)).transpose()?.unwrap_or_default();
        let answer = change(&mut choices)?;
        tx.execute(
            "INSERT INTO notice (installation, choices) VALUES (?1, ?2) \
             ON CONFLICT (installation) DO UPDATE SET choices = excluded.choices",
            params![name.as_str(), to_json(&choices)?],
        )?;
        tx.commit()?;
        Ok(answer)
    }

    /// Whether this version was announced at this level.
    ///
    /// # Errors
    /// Those of the state itself.
    pub fn is_announced(&self, name: &InstallationName, version: &str, level: Level) -> Result<bool> {
        let mut asked = self.conn.prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM announced WHERE installation = ?1 AND version = ?2 AND level = ?3)",
        )?;
        Ok(asked.query_row(params![name.as_str(), version, u8::from(level)], |row| row.get(0))?)
    }

    /// Takes the right to announce this version at this level; only the first who asks gets it.
    ///
    /// # Errors
    /// Those of the state itself.
    pub fn claim_announcement(
        &mut self,
        name: &InstallationName,
        version: &str,
        level: Level,
        now: DateTime<Utc>,
    ) -> Result<bool> {
        let added = self.conn.execute(
            "INSERT INTO announced (installation, version, level, at) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
            params![name.as_str(), version, u8::from(level), stamp(now)],
        )?;
        Ok(added == 1)
    }
}

fn learn_repository(tx: &Transaction<'_>, source: &str, it: &Repository) -> Result<()> {
    tx.prepare_cached(
        "INSERT INTO repository (source, moved_to, asked_at, answered_at, next_check_at, wait_until, failures, \
         failing_since, problem, advised_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) \
         ON CONFLICT (source) DO UPDATE SET moved_to = excluded.moved_to, asked_at = excluded.asked_at, \
         answered_at = excluded.answered_at, next_check_at = excluded.next_check_at, wait_until = excluded.wait_until, \
         failures = excluded.failures, failing_since = excluded.failing_since, problem = excluded.problem, \
         advised_at = excluded.advised_at",
    )?
    .execute(params![
        source,
        it.moved_to,
        it.asked_at.map(stamp),
        it.answered_at.map(stamp),
        it.next_check_at.map(stamp),
        it.wait_until.map(stamp),
        it.failures,
        it.failing_since.map(stamp),
        it.problem.as_ref().map(to_json).transpose()?,
        it.advised_at.map(stamp),
    ])?;
    Ok(())
}

fn learn_releases(
    tx: &Transaction<'_>,
    source: &str,
    releases: &[KnownRelease],
    cut_short: bool,
    now: DateTime<Utc>,
) -> Result<()> {
    let mut upsert = tx.prepare_cached(
        "INSERT INTO release (source, tag, published_at, first_seen_at, prerelease, breaking, security, headline) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (source, tag) DO UPDATE SET \
         published_at = coalesce(min(published_at, excluded.published_at), published_at, excluded.published_at), \
         withdrawn_at = NULL, prerelease = excluded.prerelease, breaking = excluded.breaking, \
         security = excluded.security, headline = excluded.headline",
    )?;
    for it in releases {
        upsert.execute(params![
            source,
            it.tag,
            it.published_at.map(stamp),
            stamp(it.first_seen_at),
            it.prerelease,
            it.breaking,
            it.security,
            it.headline,
        ])?;
    }
    // What lies beyond the last page that was read was not withdrawn.
    if !cut_short {
        let told: HashSet<&str> = releases.iter().map(|it| it.tag.as_str()).collect();
        let known: Vec<String> = tx
            .prepare_cached("SELECT tag FROM release WHERE source = ?1 AND withdrawn_at IS NULL")?
            .query_map([source], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        for gone in known.iter().filter(|it| !told.contains(it.as_str())) {
            tx.execute(
                "UPDATE release SET withdrawn_at = ?3 WHERE source = ?1 AND tag = ?2",
                params![source, gone, stamp(now)],
            )?;
        }
    }
    Ok(())
}

fn learn_advisories(tx: &Transaction<'_>, source: &str, advisories: &[Advisory], now: DateTime<Utc>) -> Result<()> {
    let known: Vec<String> = tx
        .prepare_cached("SELECT id FROM advisory WHERE source = ?1")?
        .query_map([source], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for gone in known.iter().filter(|id| !advisories.iter().any(|it| it.id == **id)) {
        tx.execute("DELETE FROM advisory WHERE source = ?1 AND id = ?2", params![source, gone])?;
    }
    for it in advisories {
        tx.execute(
            "INSERT INTO advisory (source, id, document, first_seen_at) VALUES (?1, ?2, ?3, ?4) \
             ON CONFLICT (source, id) DO UPDATE SET document = excluded.document",
            params![source, it.id, to_json(it)?, stamp(now)],
        )?;
    }
    Ok(())
}
