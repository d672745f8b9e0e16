//! What updates kept beside an installation: shown with its size, and removed by rule.
//!
//! The rule: nothing goes before the chosen number of days has passed on each of which the application was seen to be
//! well, and only while it is well now and no update of it is open. A removal holds the lease, is on record before it
//! begins, and knows what it removes by identity. Absent on purpose: removing anything because a disk is full.

use crate::drivers::Gate;
use crate::engine::Engine;
use crate::error::{Error, Kind, Result};
use crate::model::ids::InstallationName;
use crate::process::Silent;
use crate::site::Site;
use crate::space::human;
use crate::state::Db;
use crate::state::journal::{Direction, runs_of};
use crate::state::kept::Original;
use crate::state::lease::Lease;
use crate::steps::aside::{AsideIntent, SetAside, final_dump};
use crate::steps::parse;
use crate::upgrade::work::this_process;
use crate::view::KeptView;

impl Engine {
    /// What is kept beside an installation, oldest first.
    ///
    /// # Errors
    /// Those of the state itself.
    pub fn kept(&self, name: &InstallationName) -> Result<Vec<KeptView>> {
        self.kept_in(&self.db()?, name)
    }

    pub(crate) fn kept_in(&self, db: &Db, name: &InstallationName) -> Result<Vec<KeptView>> {
        let originals = db.originals(Some(name))?;
        if originals.is_empty() {
            return Ok(Vec::new());
        }
        let wanted = days_wanted(db)?;
        let today = self.clock.now().date_naive();
        let view = |it: Original| {
            Ok(KeptView {
                healthy_days: db.healthy_days(name, it.kept_since.date_naive(), today)?,
                removed_after_days: wanted,
                upgrade_id: it.upgrade_id,
                store: it.store,
                kept: it.kept,
                place: it.place,
                bytes: it.bytes,
                kept_since: it.kept_since,
            })
        };
        originals.into_iter().map(view).collect()
    }

    /// Looks how the application is, counts the day, and removes what has been kept for long enough. Answers what was
    /// removed; nothing where nothing is kept, an update is open, or somebody works on the installation.
    ///
    /// # Errors
    /// `unknown_installation`; what cannot be removed, which then stays and is tried again.
    pub fn tidy(&self, name: &InstallationName) -> Result<Vec<KeptView>> {
        let mut db = self.db()?;
        let installation = db.installation(name)?;
        if is_open(&db, name)? {
            return Ok(Vec::new());
        }
        let site = self.site(&installation)?;
        let left = self.leftovers(&db, &site)?;
        if db.originals(Some(name))?.is_empty() && left.is_empty() {
            return Ok(Vec::new());
        }
        let is_well = is_well(&site);
        db.see(name, is_well, self.clock.now())?;
        let due: Vec<_> = self.kept_in(&db, name)?.into_iter().filter(|it| self.is_due(it)).collect();
        let left_is_due = self.leftovers(&db, &site)?.iter().any(|it| it.is_due);
        if (due.is_empty() && !left_is_due) || !is_well {
            return Ok(Vec::new());
        }
        let holder = this_process(self.clock.as_ref(), "tidy")?;
        let _lease = match Lease::take(&mut db, &self.home, name, &installation.folder, &holder) {
            Err(error) if error.kind == Kind::Busy => return Ok(Vec::new()),
            lease => lease?,
        };
        // An update may have been asked for between the look and the lease.
        if is_open(&db, name)? {
            return Ok(Vec::new());
        }
        let mut removed = Vec::new();
        for original in db.originals(Some(name))? {
            let Some(view) = due.iter().find(|it| it.is(&original)) else { continue };
            db.begin_removal(&original, self.clock.now())?;
            self.remove_kept(&db, &site, &original)?;
            let line = format!("{} was removed after {} healthy days.", original.place, view.healthy_days);
            db.end_removal(&original, &line, self.clock.now())?;
            removed.push(view.clone());
        }
        self.remove_leftovers(&mut db, &site)?;
        Ok(removed)
    }

    fn is_due(&self, kept: &KeptView) -> bool {
        let passed = (self.clock.now() - kept.kept_since).num_days();
        kept.healthy_days >= kept.removed_after_days
            && u64::try_from(passed).is_ok_and(|it| it >= kept.removed_after_days)
    }

    fn remove_kept(&self, db: &Db, site: &Site, original: &Original) -> Result<()> {
        if original.kept == "final_dump" {
            // Ours from its first byte on, in the folder of the upgrade.
            let folder = final_dump(&self.home, original.upgrade_id, &original.store);
            return match std::fs::remove_dir_all(&folder) {
                Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => Err(Error::io("remove", &folder, &cause)),
                _ => Ok(()),
            };
        }
        let key = SetAside::key_of(&original.store);
        let runs = runs_of(db, original.upgrade_id)?;
        let intent = runs.iter().rfind(|it| it.direction == Direction::Forward && it.key == key);
        let store = site.stores.iter().find(|it| it.name() == original.store);
        match (intent, store) {
            (Some(run), Some(store)) => store.discard(&parse::<AsideIntent>(&run.intent)?.aside),
            _ => Err(Error::failed(
                "kept_unknown",
                format!("Liftlock does not know any more what {} is.", original.place),
            )
            .remedy("Look at it yourself; it may be removed by hand once you are sure.")),
        }
    }
}

/// One that waits for a person is open too: what is kept may be the way out.
fn is_open(db: &Db, name: &InstallationName) -> Result<bool> {
    Ok(db.newest_upgrade(name)?.is_some_and(|it| !it.state.is_final()) || !db.stranded_upgrades(name)?.is_empty())
}

fn is_well(site: &Site) -> bool {
    let probes = site.observe(&Silent);
    probes.is_ok_and(|all| all.iter().all(|it| !it.required || it.outcome.is_up()))
        && site.ask_version(Gate::Public, &Silent).is_ok()
}

pub(crate) fn days_wanted(db: &Db) -> Result<u64> {
    Ok(db.setting("keep_originals_days")?.parse().unwrap_or(7))
}

impl KeptView {
    fn is(&self, original: &Original) -> bool {
        (self.upgrade_id, &self.store, &self.kept) == (original.upgrade_id, &original.store, &original.kept)
    }

    /// In one sentence: what, where, how large, and when it goes.
    pub fn sentence(&self) -> String {
        let what = match self.kept.as_str() {
            "original" => "the original, kept untouched",
            "final_dump" => "the final backup",
            _ => "the copy that did not make it",
        };
        let size = self.bytes.map_or_else(String::new, |it| format!(", {}", human(it)));
        format!(
            "{}: {what}, {}{size}; {} of {} healthy days",
            self.store, self.place, self.healthy_days, self.removed_after_days
        )
    }
}
