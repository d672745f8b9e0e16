//! The verb for data that a new version looks for elsewhere.

use crate::engine::Engine;
use crate::error::{Error, Kind, Result};
use crate::model::ids::InstallationName;
use crate::state::lease::Lease;
use crate::state::upgrades::Options;
use crate::upgrade::work::this_process;
use crate::view::MovedView;

impl Engine {
    /// Lets the version that is offered, or `to`, find the data although its makers look for it elsewhere. A volume under
    /// another name is named so, and nothing of the data is touched; a database of another major version is moved by a worker,
    /// whose upgrade is in the answer.
    ///
    /// # Errors
    /// `locked`, `unknown_installation`, `busy`; `nothing_to_move`, `release_not_here`, `cannot_move`, `volume_taken`;
    /// `override_taken`.
    pub fn move_data(&self, name: &InstallationName, to: Option<&str>, initiated_by: &str) -> Result<MovedView> {
        self.must_be_unlocked()?;
        let to = match to {
            Some(to) => to.trim_start_matches('v').to_owned(),
            None => self.plan(name, None, &Options::default())?.to.ok_or_else(|| nothing(name))?,
        };
        let mut db = self.db()?;
        let installation = db.installation(name)?;
        let holder = this_process(self.clock.as_ref(), "looking after the place of the data")?;
        let lease = Lease::take(&mut db, &self.home, name, &installation.folder, &holder)?;
        if db.newest_upgrade(name)?.is_some_and(|it| !it.state.is_final()) {
            return Err(Error::new(Kind::Busy, "busy", format!("{name} has an update that has not ended."))
                .remedy(format!("`liftlock status {name}` shows it.")));
        }
        let site = self.site(&installation)?;
        if let Some(plan) = site.driver.data_mover().map(|it| it.plan(&to)).transpose()?.flatten() {
            let current = site.driver.current_release()?.unwrap_or_default();
            drop(lease);
            let options = Options { move_for: Some(to.clone()), ..Options::default() };
            let id = self.start_upgrade(name, Some(&current), &options, initiated_by)?;
            let says = vec![format!(
                "The database is moved from PostgreSQL {} to {}, from the volume {} to {}.",
                plan.from_major, plan.to_major, plan.old_volume, plan.new_volume
            )];
            return Ok(MovedView { installation: name.clone(), to, says, upgrade_id: Some(id) });
        }
        let says = site.driver.keep_volumes(&to)?;
        if says.is_empty() {
            return Err(nothing(name));
        }
        Ok(MovedView { installation: name.clone(), to, says, upgrade_id: None })
    }
}

fn nothing(name: &InstallationName) -> Error {
    Error::refused(
        "nothing_to_move",
        format!("Nothing of {name} has to be moved: its data is where a new version looks for it."),
    )
    .remedy(format!("`liftlock plan {name}` says what an update would do."))
}
