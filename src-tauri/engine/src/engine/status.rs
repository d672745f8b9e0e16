//! What runs, what has just ended, and whether anyone needs to know.
//!
//! Nothing is believed that can be looked at: an upgrade is active when someone holds its lease, not because
//! a row says so. A completed one stays the status until it is acknowledged or its time to live is over,
//! counted on a clock that nobody sets, and anew after a reboot.

use chrono::{DateTime, TimeDelta, Utc};

use crate::clock::same_boot;
use crate::engine::Engine;
use crate::error::Result;
use crate::model::ids::{InstallationName, UpgradeId};
use crate::model::state::{Stage, State};
use crate::process::last_lines;
use crate::state::Db;
use crate::state::lease::Lease;
use crate::state::upgrades::Upgrade;
use crate::view::{IdleState, IdleStatus, StatusView, UpgradeStatus};

impl Engine {
    /// How an installation stands.
    ///
    /// # Errors
    /// `unknown_installation`.
    pub fn status(&self, name: &InstallationName) -> Result<StatusView> {
        let db = self.db()?;
        db.installation(name)?;
        self.status_in(&db, name)
    }

    /// Where one upgrade stands, also when it is long over.
    ///
    /// # Errors
    /// `unknown_upgrade`.
    pub fn upgrade_status(&self, id: UpgradeId) -> Result<UpgradeStatus> {
        let db = self.db()?;
        self.view(&db, &db.upgrade(id)?)
    }

    /// Lines of an upgrade's log after line `after`: number, instant, text.
    ///
    /// # Errors
    /// Those of the state itself.
    pub fn log(&self, id: UpgradeId, after: i64, most: u32) -> Result<Vec<(i64, DateTime<Utc>, String)>> {
        self.db()?.log_lines(id, after, most)
    }

    /// The last words of an upgrade's worker, for one who finds it gone. Empty where it has left none.
    pub fn last_words(&self, id: UpgradeId) -> Vec<String> {
        last_lines(&self.home.upgrade(id).join("worker.log"), 5)
    }

    pub(crate) fn status_in(&self, db: &Db, name: &InstallationName) -> Result<StatusView> {
        let newest = db.newest_upgrade(name)?;
        if let Some(upgrade) = &newest {
            let view = self.view(db, upgrade)?;
            let known = upgrade.acknowledged_at.is_some() && upgrade.state.is_final();
            let expired = view.expires_at.is_some_and(|at| at <= self.clock.now());
            if !known && !expired {
                return Ok(StatusView::Upgrade(Box::new(view)));
            }
        }
        Ok(StatusView::Idle(IdleStatus {
            state: IdleState::Idle,
            stage: Stage::Idle,
            installation: name.clone(),
            active: false,
            version: db.installation(name).ok().and_then(|it| it.version),
            last_upgrade_id: newest.map(|it| it.id),
            kept: self.kept_in(db, name)?,
        }))
    }

    fn view(&self, db: &Db, upgrade: &Upgrade) -> Result<UpgradeStatus> {
        let held = if upgrade.state.is_final() { None } else { Lease::holder(&self.home, &upgrade.installation)? };
        // A backup beside an interrupted upgrade does not work on it.
        let active = Lease::is_worker(held.as_ref());
        let now = self.clock.now();
        let kept = self.kept_in(db, &upgrade.installation)?;
        Ok(UpgradeStatus { kept, ..UpgradeStatus::of(upgrade, active, self.expires_at(db, upgrade)?, now) })
    }

    /// When a completed upgrade stops being the status by itself. Only a success does.
    fn expires_at(&self, db: &Db, upgrade: &Upgrade) -> Result<Option<DateTime<Utc>>> {
        if upgrade.state != State::Complete || upgrade.acknowledged_at.is_some() {
            return Ok(None);
        }
        let minutes: u32 = db.setting("completion_ttl_minutes")?.parse().unwrap_or(10);
        let life = f64::from(minutes) * 60.0;
        let uptime = self.clock.since_boot().as_secs_f64();
        let boot = self.clock.boot_id();
        let here = upgrade.finished_boot.as_deref().is_some_and(|it| same_boot(it, &boot));
        // After a reboot nobody may have seen it yet: its life begins with the boot.
        let age = if here { uptime - upgrade.finished_uptime.unwrap_or(0.0) } else { uptime };
        let left = TimeDelta::milliseconds(((life - age) * 1000.0) as i64);
        Ok(Some(self.clock.now() + left))
    }
}
