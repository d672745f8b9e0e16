//! The verbs about keeping backups: the rule, what it would remove, and what a person pins.

use std::path::Path;

use crate::backups::{self, Backup, Kept, Rule, held, judge};
use crate::engine::{Engine, REMOVE};
use crate::error::{Error, Result};
use crate::model::finding::{Finding, Severity};
use crate::model::ids::InstallationName;
use crate::space::human;
use crate::state::lease::Lease;
use crate::upgrade::work::this_process;
use crate::view::{BackupView, KeptBackup, PruneView};

impl Engine {
    /// The keeping rule as it is chosen.
    ///
    /// # Errors
    /// Those of the state itself.
    pub fn keeping_rule(&self) -> Result<Rule> {
        let db = self.db()?;
        let number = |key| -> Result<usize> { Ok(db.setting(key)?.parse().unwrap_or(0)) };
        Ok(Rule {
            newest: number("keep_backups")?,
            daily: number("keep_backups_daily")?,
            weekly: number("keep_backups_weekly")?,
            monthly: number("keep_backups_monthly")?,
            yearly: number("keep_backups_yearly")?,
        })
    }

    /// What the keeping rule would remove of an installation's backups. Touches nothing.
    ///
    /// # Errors
    /// `unknown_installation`; the folder cannot be read.
    pub fn prune_preview(&self, name: &InstallationName) -> Result<PruneView> {
        let db = self.db()?;
        let rule = self.keeping_rule()?;
        let (found, _) = backups::of(&self.home, &db.installation(name)?.name, self.clock.now())?;
        let mut view = PruneView {
            rule,
            removed: false,
            bytes_freed: 0,
            goes: Vec::new(),
            stays: Vec::new(),
            findings: self.over_budget(&found)?.into_iter().collect(),
        };
        for verdict in judge(&found, rule, &db.backups_in_use(name)?) {
            let backup = BackupView::of(verdict.backup);
            match verdict.kept {
                Some(why) => view.stays.push(KeptBackup { backup, why }),
                None => {
                    view.bytes_freed += backup.bytes;
                    view.goes.push(backup);
                }
            }
        }
        Ok(view)
    }

    /// Removes what the keeping rule does not keep. Holds the lease, and asks the rule anew under it.
    ///
    /// # Errors
    /// `locked`, `unknown_installation`, `busy`. What cannot be removed stays, and is told among the findings.
    pub fn prune(&self, name: &InstallationName) -> Result<PruneView> {
        self.must_be_unlocked()?;
        self.prune_by_rule(name)
    }

    /// The same where nobody asks at that moment, but chose the rule: a schedule is no change.
    pub(crate) fn prune_by_rule(&self, name: &InstallationName) -> Result<PruneView> {
        let mut db = self.db()?;
        let installation = db.installation(name)?;
        let holder = this_process(self.clock.as_ref(), "prune")?;
        let _lease = Lease::take(&mut db, &self.home, name, &installation.folder, &holder)?;
        for place in self.home.places_of_backups(name)? {
            backups::clear_unfinished(&place)?;
        }
        let mut view = self.prune_preview(name)?;
        view.removed = true;
        for going in std::mem::take(&mut view.goes) {
            match backups::open(Path::new(&going.path)).and_then(|it| backups::remove(&it)) {
                Ok(()) => {
                    db.forget_backup(&going.path)?;
                    view.goes.push(going);
                }
                Err(error) => {
                    view.bytes_freed -= going.bytes;
                    view.findings.push(Finding::stop(&error));
                }
            }
        }
        Ok(view)
    }

    /// Keeps a backup until it is unpinned, or takes that back.
    ///
    /// # Errors
    /// `locked` for taking it back; `unknown_backup`; the folder is no backup, or cannot be written to.
    pub fn pin_backup(&self, path_or_id: &Path, pinned: bool) -> Result<BackupView> {
        if !pinned {
            self.must_be_unlocked()?;
        }
        let backup = backups::open(&self.find_backup(path_or_id)?)?;
        if pinned {
            backups::pin(&backup.path)?;
        } else {
            backups::unpin(&backup.path)?;
        }
        Ok(BackupView::of(&backups::open(&backup.path)?))
    }

    /// Removes one backup for good. Its copies in other places stay.
    ///
    /// # Errors
    /// `locked`, `not_confirmed` unless `typed` is [`REMOVE`]; `backup_held` with the reason; `unknown_backup`, `busy`; what
    /// the disk answered.
    pub fn remove_backup(&self, path_or_id: &Path, typed: Option<&str>) -> Result<()> {
        self.must_be_unlocked()?;
        let path = self.find_backup(path_or_id)?;
        let mut db = self.db()?;
        let installation = db.installation(&backups::open(&path)?.manifest.installation)?;
        let name = &installation.name;
        let holder = this_process(self.clock.as_ref(), "remove_backup")?;
        let _lease = Lease::take(&mut db, &self.home, name, &installation.folder, &holder)?;
        let (all, _) = backups::of(&self.home, name, self.clock.now())?;
        let at = all.iter().position(|it| it.path.file_name() == path.file_name());
        let (at, backup) = at.and_then(|at| Some((at, all.get(at)?))).ok_or_else(|| not_among(&path))?;
        if let Some(why) = held(&all, at, &db.backups_in_use(name)?) {
            return Err(is_held(&backup.id(), why));
        }
        if typed.map(str::trim) != Some(REMOVE) {
            return Err(Error::refused("not_confirmed", format!("Nothing was removed: {} is there.", backup.id()))
                .remedy(format!("Removing it cannot be undone. Type {REMOVE} to remove it.")));
        }
        backups::remove(backup)?;
        db.forget_backup(&backup.path.display().to_string())
    }

    /// A warning where an installation's backups take more than was granted.
    pub(crate) fn over_budget(&self, found: &[Backup]) -> Result<Option<Finding>> {
        let granted = self.db()?.setting("backups_budget_gb")?.parse::<u64>().unwrap_or(0) * 1_000_000_000;
        let taken = found.iter().map(Backup::bytes).fold(0, u64::saturating_add);
        let name = found.first().map(|it| it.manifest.installation.to_string()).unwrap_or_default();
        Ok((granted > 0 && taken > granted).then(|| {
            Finding::new(
                Severity::Warning,
                "backups_over_budget",
                format!("The backups of {name} take {}, more than the {} granted.", human(taken), human(granted)),
                format!("`liftlock backup prune {name} --dry-run` shows what the keeping rule would remove."),
            )
        }))
    }
}

fn not_among(path: &Path) -> Error {
    Error::refused("unknown_backup", format!("{} is none of the backups that are kept here.", path.display()))
        .remedy("`liftlock backup list` shows the backups with their folders. Remove this one by hand if you are sure.")
}

fn is_held(id: &str, why: Kept) -> Error {
    let (why, remedy) = match why {
        Kept::Pinned => ("somebody wants it kept", "Take that back first: `liftlock backup unpin`."),
        Kept::Needed => {
            ("an update that is open, or an original that is kept, may need it", "It may go when that has gone.")
        }
        Kept::LastProven => (
            "it is the newest one that was restored as a test",
            "Make a new one first; once that is proven, this may go.",
        ),
        Kept::Newest | Kept::Calendar | Kept::NothingBetter => (
            "none is proven that could be relied on instead",
            "Make a new one first; once that is proven, this may go.",
        ),
    };
    Error::refused("backup_held", format!("The backup {id} stays: {why}.")).remedy(remedy)
}

/// What is wrong with backups that can be read: one that failed its test is told, loudest where it was proven before.
pub(crate) fn alarms(found: &[Backup]) -> Vec<Finding> {
    let alarm = |backup: &Backup| {
        let failed = backup.failed.as_ref()?;
        let (whose, made) = (&backup.manifest.installation, backup.manifest.made_at.format("%Y-%m-%d %H:%M"));
        let before =
            backup.was_proven_at.map_or_else(String::new, |at| format!(" It was proven on {}.", at.format("%Y-%m-%d")));
        let is_newest = found.first().is_some_and(|it| it.path == backup.path);
        Some(Finding::new(
            if is_newest || backup.was_proven_at.is_some() { Severity::Stop } else { Severity::Warning },
            "backup_failed",
            format!("The backup of {whose} made {made} UTC failed its test: {}{before}", failed.message),
            format!(
                "Do not rely on {}. Make a new one: `liftlock backup create {whose}`. Check the disk.",
                backup.path.display()
            ),
        ))
    };
    found.iter().filter_map(alarm).collect()
}
