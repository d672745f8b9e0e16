//! Which backups stay, and which may go: a rule, worked out before anything is removed.
//!
//! The rule counts each kind by itself, so that nightly backups never push out the one before an update or the one
//! that a person made. Whatever the rule says, four stay: one that is pinned, one that an open update or a kept
//! original needs, the newest proven one, and the newest of all. A failed one fills no place of a whole one, and goes
//! only where a newer one is proven. Absent on purpose: removing because a disk is full.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Datelike, Local, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::backups::{Backup, PARTIAL, PINNED, PURPOSE};
use crate::durable;
use crate::error::{Error, Result};
use crate::stores::Grade;

/// How many are kept, of each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Rule {
    /// The newest ones.
    pub newest: usize,
    /// Of so many days the newest one each.
    pub daily: usize,
    /// Of so many weeks.
    pub weekly: usize,
    /// Of so many months.
    pub monthly: usize,
    /// Of so many years.
    pub yearly: usize,
}

impl Default for Rule {
    fn default() -> Self {
        Self { newest: 5, daily: 0, weekly: 0, monthly: 0, yearly: 0 }
    }
}

/// Why a backup stays, in the order in which reasons are given.
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kept {
    /// A person said so.
    Pinned,
    /// An update that is open, or an original that is kept, may need it.
    Needed,
    /// It is the newest one that was restored as a test.
    LastProven,
    /// Among the newest of its kind, or the newest of all.
    Newest,
    /// The newest of a day, a week, a month or a year.
    Calendar,
    /// It failed its test, and nothing newer is proven.
    NothingBetter,
}

/// What the rule says of one backup: `None` where it goes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Verdict<'b> {
    /// The backup.
    pub backup: &'b Backup,
    /// Why it stays.
    pub kept: Option<Kept>,
}

/// What would stay and what would go of `backups`, the newest first as [`super::list`] gives them. `needed` are folders
/// that something open may still want; their names tell them, because one folder may be reached by several paths.
pub fn judge<'b>(backups: &'b [Backup], rule: Rule, needed: &BTreeSet<PathBuf>) -> Vec<Verdict<'b>> {
    let last_proven = backups.iter().position(|it| it.grade == Grade::Proven && it.failed.is_none());
    let mut of_kind: BTreeMap<&str, Places> = BTreeMap::new();
    let needed: BTreeSet<_> = needed.iter().filter_map(|it| it.file_name()).collect();
    let judge = |(at, backup): (usize, &'b Backup)| {
        // Every whole one takes its places, also one that stays for another reason.
        let by_rule = match &backup.failed {
            Some(_) if last_proven.is_none_or(|proven| proven > at) => Some(Kept::NothingBetter),
            Some(_) => None,
            None => of_kind.entry(backup.manifest.kind.as_str()).or_default().take(backup.manifest.made_at, rule),
        };
        let reasons = [
            (backup.pinned, Kept::Pinned),
            (backup.path.file_name().is_some_and(|it| needed.contains(it)), Kept::Needed),
            (last_proven == Some(at), Kept::LastProven),
            (at == 0, Kept::Newest),
        ];
        let kept = reasons.into_iter().find_map(|(holds, why)| holds.then_some(why)).or(by_rule);
        Verdict { backup, kept }
    };
    backups.iter().enumerate().map(judge).collect()
}

/// What of the rule is filled already, going from the newest to the oldest.
#[derive(Default)]
struct Places {
    newest: usize,
    days: BTreeSet<(i32, u32)>,
    weeks: BTreeSet<(i32, u32)>,
    months: BTreeSet<(i32, u32)>,
    years: BTreeSet<(i32, u32)>,
}

impl Places {
    fn take(&mut self, at: DateTime<Utc>, rule: Rule) -> Option<Kept> {
        // A day is the day of the people here.
        let day = at.with_timezone(&Local).date_naive();
        self.newest += 1;
        let week = day.iso_week();
        let calendar = [
            (&mut self.days, (day.year(), day.ordinal()), rule.daily),
            (&mut self.weeks, (week.year(), week.week()), rule.weekly),
            (&mut self.months, (day.year(), day.month()), rule.monthly),
            (&mut self.years, (day.year(), 0), rule.yearly),
        ];
        let mut is_first = false;
        for (taken, period, places) in calendar {
            is_first |= taken.len() < places && taken.insert(period);
        }
        if self.newest <= rule.newest {
            return Some(Kept::Newest);
        }
        is_first.then_some(Kept::Calendar)
    }
}

/// Why not even a person removes the backup at `at`, of `backups` and `needed` as for [`judge`]: it is pinned, needed, or
/// there is none that could be relied on in its place. A failed one may go as soon as any is proven.
pub fn held(backups: &[Backup], at: usize, needed: &BTreeSet<PathBuf>) -> Option<Kept> {
    let backup = backups.get(at)?;
    let last_proven = backups.iter().position(|it| it.grade == Grade::Proven && it.failed.is_none());
    let is_needed = needed.iter().any(|it| it.file_name() == backup.path.file_name());
    let reasons = [
        (backup.pinned, Kept::Pinned),
        (is_needed, Kept::Needed),
        (last_proven == Some(at), Kept::LastProven),
        (last_proven.is_none() && backup.failed.is_some(), Kept::NothingBetter),
        (last_proven.is_none() && at == 0, Kept::Newest),
    ];
    reasons.into_iter().find_map(|(holds, why)| holds.then_some(why))
}

/// Says that a backup stays until it is unpinned.
///
/// # Errors
/// What the disk answered.
pub fn pin(path: &Path) -> Result<()> {
    durable::expect_our_dir(path)?;
    durable::write(&path.join(PINNED), b"This backup is kept until `liftlock backup unpin`.\n")
}

/// Takes that back. One that was not pinned is no error.
///
/// # Errors
/// What the disk answered.
pub fn unpin(path: &Path) -> Result<()> {
    durable::expect_our_dir(path)?;
    let file = path.join(PINNED);
    match std::fs::remove_file(&file) {
        Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => Err(Error::io("remove", &file, &cause)),
        _ => durable::fsync_dir(path),
    }
}

/// Removes a backup: it loses its name first, so that a half-removed one is nobody's backup. The caller holds the lease,
/// and has asked the rule.
///
/// # Errors
/// `not_ours` for a folder that we did not make; what the disk answered.
pub fn remove(backup: &Backup) -> Result<()> {
    durable::expect_our_dir(&backup.path)?;
    if !durable::is_marked(&backup.path, PURPOSE) {
        return Err(Error::failed(
            "not_ours",
            format!("{} was not made by this Liftlock and is not removed.", backup.path.display()),
        )
        .remedy("Remove it by hand if you are sure."));
    }
    let name = backup.path.file_name().unwrap_or_default().to_string_lossy();
    let going = backup.path.with_file_name(format!("{PARTIAL}{name}"));
    durable::rename_new(&backup.path, &going)?;
    durable::remove_tree_that_we_made(&going, PURPOSE)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use chrono::TimeDelta;

    use super::*;
    use crate::backups::{BackupKind, FORMAT, Manifest};

    fn backup(days_ago: i64, kind: BackupKind, grade: Grade) -> Backup {
        let made_at = DateTime::from_timestamp(1_795_262_400, 0).unwrap() - TimeDelta::days(days_ago);
        Backup {
            path: format!("/backups/{days_ago}-{}", kind.as_str()).into(),
            manifest: Manifest {
                format: FORMAT,
                liftlock: String::new(),
                installation: "shop".parse().unwrap(),
                application: String::new(),
                version: None,
                kind,
                note: String::new(),
                made_at,
                seconds: 1.0,
                stores: Vec::new(),
                origin: None,
            },
            manifest_sha256: String::new(),
            grade,
            proven_at: (grade == Grade::Proven).then_some(made_at),
            failed: None,
            was_proven_at: None,
            pinned: false,
        }
    }

    fn nightly(days: i64) -> Vec<Backup> {
        (0..days).map(|it| backup(it, BackupKind::Scheduled, Grade::Proven)).collect()
    }

    fn kept(backups: &[Backup], rule: Rule, needed: &[&str]) -> Vec<(usize, Kept)> {
        let needed: BTreeSet<PathBuf> = needed.iter().map(PathBuf::from).collect();
        let verdicts = judge(backups, rule, &needed);
        verdicts.iter().enumerate().filter_map(|(at, it)| it.kept.map(|why| (at, why))).collect()
    }

    #[test]
    fn the_newest_five_of_each_kind_stay() {
        let mut all = nightly(9);
        all.push(backup(20, BackupKind::Manual, Grade::Proven));
        all.push(backup(30, BackupKind::PreUpdate, Grade::Taken));
        let stay: Vec<_> = kept(&all, Rule::default(), &[]).iter().map(|it| it.0).collect();
        assert_eq!(stay, [0, 1, 2, 3, 4, 9, 10]);
    }

    #[test]
    fn of_days_weeks_months_and_years_the_newest_one_each_stays() {
        let rule = Rule { newest: 1, daily: 3, weekly: 2, monthly: 3, yearly: 2 };
        let stay: Vec<_> = kept(&nightly(400), rule, &[]).iter().map(|it| it.0).collect();
        // Saturday 21 November 2026: three days, the Sunday before, the ends of October and of the year before.
        assert_eq!(stay, [0, 1, 2, 6, 21, 52, 325]);
    }

    #[test]
    fn what_is_pinned_needed_or_the_last_proven_stays_whatever_the_rule_says() {
        let mut all = nightly(12);
        for unproven in &mut all[..7] {
            unproven.grade = Grade::Taken;
        }
        all[11].pinned = true;
        let rule = Rule { newest: 1, ..Rule::default() };
        // Reached by another path than the one it is listed under.
        let found = kept(&all, rule, &["/by/a/link/9-scheduled"]);
        assert_eq!(found, [(0, Kept::Newest), (7, Kept::LastProven), (9, Kept::Needed), (11, Kept::Pinned)]);
    }

    #[test]
    fn a_person_may_remove_any_that_something_else_can_be_relied_on_in_place_of() {
        let held = |backups: &[Backup], needed: &[&str]| {
            let needed: BTreeSet<PathBuf> = needed.iter().map(PathBuf::from).collect();
            (0..backups.len()).map(|at| super::held(backups, at, &needed)).collect::<Vec<_>>()
        };
        let mut all = nightly(5);
        all[0].grade = Grade::Readable;
        all[4].pinned = true;
        let needed = ["/by/a/link/3-scheduled"];
        assert_eq!(held(&all, &needed), [None, Some(Kept::LastProven), None, Some(Kept::Needed), Some(Kept::Pinned)]);
        for it in &mut all {
            (it.grade, it.pinned) = (Grade::Taken, false);
        }
        all[2].failed = Some(Error::failed("backup_damaged", "x"));
        assert_eq!(held(&all, &[]), [Some(Kept::Newest), None, Some(Kept::NothingBetter), None, None]);
        assert_eq!(super::held(&all, 9, &BTreeSet::new()), None);
    }

    #[test]
    fn a_failed_one_takes_no_place_and_goes_only_where_something_newer_is_proven() {
        let rule = Rule { newest: 2, ..Rule::default() };
        let mut all = nightly(5);
        for it in &mut all {
            it.grade = Grade::Taken;
            it.failed = Some(Error::failed("backup_damaged", "x"));
        }
        assert_eq!(kept(&all, rule, &[]).len(), 5, "nothing is better than they are");
        all[1] = backup(1, BackupKind::Scheduled, Grade::Proven);
        all[3] = backup(3, BackupKind::Scheduled, Grade::Proven);
        let found = kept(&all, rule, &[]);
        assert_eq!(found, [(0, Kept::Newest), (1, Kept::LastProven), (3, Kept::Newest)]);
    }
}
