//! What updates leave behind that is nobody's data: the folders of releases that Liftlock unpacked itself, the images that
//! releases ran from, and the lists by which files that are never rewritten were set aside. They go by the rule of what is
//! kept (see `kept`).
//!
//! Never the release in use, nor what the newest update would go back to, nor anything of an update that keeps an
//! original, nor a release of which there is a backup: returning to it needs the release. Absent on purpose: releases
//! that somebody else put there, and any in which one byte was changed.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use crate::backups;
use crate::durable;
use crate::engine::Engine;
use crate::engine::kept::days_wanted;
use crate::error::{Error, Result};
use crate::model::ids::UpgradeId;
use crate::model::state::State;
use crate::process::Silent;
use crate::site::Site;
use crate::space::human;
use crate::state::Db;
use crate::state::upgrades::Upgrade;

/// As many updates are looked back on; what older ones left stays.
const LOOKED_BACK_ON: u32 = 1000;

/// Something of which the last update that had to do with it is over.
#[derive(Debug)]
pub(super) struct Leftover {
    what: What,
    /// The last update that had to do with it.
    upgrade: UpgradeId,
    /// Whether it has lain there for long enough.
    pub(super) is_due: bool,
}

#[derive(Debug)]
enum What {
    Release(String),
    List(PathBuf),
}

impl Engine {
    /// What lies there and is needed by nobody. Only to be asked while no update is open.
    pub(super) fn leftovers(&self, db: &Db, site: &Site) -> Result<Vec<Leftover>> {
        let name = &site.installation.name;
        let releases: BTreeSet<String> =
            site.unpacked_releases()?.into_iter().chain(site.driver.remembered()?).collect();
        let mut lists = Vec::new();
        for store in &site.stores {
            lists.extend(store.lists()?);
        }
        if releases.is_empty() && lists.is_empty() {
            return Ok(Vec::new());
        }
        let upgrades = db.upgrades(Some(name), LOOKED_BACK_ON)?;
        let mut kept_by: Vec<UpgradeId> = db.originals(Some(name))?.into_iter().map(|it| it.upgrade_id).collect();
        // Attempts since then that changed nothing do not stand in the way of going back.
        kept_by.extend(
            upgrades
                .iter()
                .find(|it| it.state != State::Failed)
                .filter(|it| it.state == State::Complete)
                .map(|it| it.id),
        );
        let is_needed = |it: &Upgrade| kept_by.contains(&it.id);
        let mut left = Vec::new();
        let backups = backups::of(&self.home, name, self.clock.now())?.0;
        let has_backup = |version: &String| backups.iter().any(|it| it.manifest.version.as_ref() == Some(version));
        for version in releases.into_iter().filter(|it| !has_backup(it)) {
            let mut of_it =
                upgrades.iter().filter(|it| it.to == version || it.from.as_ref() == Some(&version)).peekable();
            // Newest first.
            let Some(last) = of_it.peek().copied() else { continue };
            if !of_it.any(is_needed) {
                left.push(Leftover {
                    upgrade: last.id,
                    is_due: self.has_lain(db, last)?,
                    what: What::Release(version),
                });
            }
        }
        for (short, path) in lists {
            let Some(of_it) = upgrades.iter().find(|it| it.id.short() == short).filter(|it| !is_needed(it)) else {
                continue;
            };
            left.push(Leftover { upgrade: of_it.id, is_due: self.has_lain(db, of_it)?, what: What::List(path) });
        }
        Ok(left)
    }

    fn has_lain(&self, db: &Db, upgrade: &Upgrade) -> Result<bool> {
        let (Some(since), wanted) = (upgrade.finished_at, days_wanted(db)?) else { return Ok(false) };
        let now = self.clock.now();
        let well = db.healthy_days(&upgrade.installation, since.date_naive(), now.date_naive())?;
        Ok(well >= wanted && u64::try_from((now - since).num_days()).is_ok_and(|it| it >= wanted))
    }

    /// Removes what is due; under the lease.
    pub(super) fn remove_leftovers(&self, db: &mut Db, site: &Site) -> Result<()> {
        for left in self.leftovers(db, site)?.into_iter().filter(|it| it.is_due) {
            let line = match &left.what {
                What::Release(version) => match site.remove_release(version, &Silent)? {
                    None => continue,
                    Some(0) => format!("Release {version}, which was needed no longer, was removed."),
                    Some(images) => format!(
                        "Release {version}, which was needed no longer, was removed; its images had {}.",
                        human(images)
                    ),
                },
                What::List(path) => {
                    fs::remove_file(path).map_err(|cause| Error::io("remove", path, &cause))?;
                    durable::fsync_dir(durable::parent(path)?)?;
                    format!("{}, which was needed no longer, was removed.", path.display())
                }
            };
            db.tell(left.upgrade, &line, self.clock.now())?;
        }
        Ok(())
    }
}
