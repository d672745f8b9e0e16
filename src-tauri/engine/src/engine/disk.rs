//! Whether the disk with the backups is getting full: said in the window for as long as it is so, and to the desktop once
//! a day.

use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};

use crate::engine::Engine;
use crate::error::Result;
use crate::model::finding::{Finding, Severity};
use crate::space;
use crate::view::BackupView;
use crate::view::window::DiskView;

/// Below this it is said that the disk is getting full, long before something stops.
const LOW_BYTES: u64 = 2 << 30;
/// How many backups must fit: an update makes one, and a copy of the data beside it.
const BACKUPS_TO_COME: u64 = 2;
/// Name of the note when the desktop was told last.
const TOLD: &str = "disk_told_at";

impl Engine {
    /// Takes the right to tell the desktop that the disk is getting full: at most once a day, and not to somebody who
    /// wants to be left alone.
    ///
    /// # Errors
    /// Those of the state itself; the disk does not answer.
    pub fn announce_disk(&self) -> Result<Option<DiskView>> {
        let Some(disk) = getting_full(&self.home.backup_disk(), need(&self.backups(None)?.0))? else { return Ok(None) };
        let (mut db, now) = (self.db()?, self.clock.now());
        let told = db.note(TOLD)?.and_then(|it| it.parse::<DateTime<Utc>>().ok());
        // A clock that was put back must not keep it silent for longer than a day.
        if told.is_some_and(|it| (now - it).abs() < TimeDelta::days(1)) || self.wants_quiet() {
            return Ok(None);
        }
        db.set_note(TOLD, &now.to_rfc3339())?;
        Ok(Some(disk))
    }
}

/// What the disk of `root` has left, where that is little beside what a backup takes.
pub(super) fn getting_full(root: &Path, need: Option<u64>) -> Result<Option<DiskView>> {
    let free = space::room(root)?.free;
    let enough = LOW_BYTES.max(need.unwrap_or(0).saturating_mul(BACKUPS_TO_COME));
    let is_full = free < space::BALLAST_BYTES + space::RESERVE_BYTES;
    Ok((free < enough).then_some(DiskView { free, need, is_full }))
}

/// What the largest of the newest backups takes; nothing where there is none yet.
pub(super) fn need(backups: &[BackupView]) -> Option<u64> {
    let mut seen = std::collections::HashSet::new();
    backups.iter().filter(|it| seen.insert(it.installation.as_str())).map(|it| it.bytes).max()
}

impl DiskView {
    /// How much is left, and how much is needed, in one sentence.
    pub fn sentence(&self) -> String {
        let free = space::human(self.free);
        match self.need {
            Some(need) => format!("{free} left, a backup needs {}.", space::human(need)),
            None => format!("{free} left."),
        }
    }

    pub(super) fn finding(&self) -> Finding {
        if self.is_full {
            return Finding::new(
                Severity::Stop,
                "disk_full",
                format!("Only {} are free where Liftlock keeps its data.", space::human(self.free)),
                "Free some space on this disk.",
            );
        }
        Finding::new(
            Severity::Warning,
            "disk_low",
            format!("The disk with the backups is getting full: {}", self.sentence()),
            "Free some space, or keep fewer backups in the settings.",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_two_backups_would_fill_is_getting_full() {
        let dir = tempfile::tempdir().unwrap();
        let free = space::room(dir.path()).unwrap().free;
        let told = getting_full(dir.path(), Some(free)).unwrap().expect("two of them do not fit");
        assert_eq!(told.need, Some(free));
        assert!(told.sentence().ends_with(&format!("a backup needs {}.", space::human(free))), "{}", told.sentence());
        if free > 2 * LOW_BYTES {
            assert_eq!(getting_full(dir.path(), Some(1 << 20)).unwrap(), None);
            assert_eq!(getting_full(dir.path(), None).unwrap(), None);
        }
    }
}
