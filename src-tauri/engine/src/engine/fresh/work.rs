//! What is done for a fresh start, one thing after the other; each may be done again.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use super::{PURPOSE, Work, beside, stop, view};
use crate::backups;
use crate::crash::{self, Moment};
use crate::drivers::{Gate, port};
use crate::durable;
use crate::engine::ExportChoice;
use crate::error::{Error, Result};
use crate::export;
use crate::model::fresh::FreshState;
use crate::probes::Budget;
use crate::process::{Silent, SystemRunner};
use crate::site::Site;
use crate::state::Db;
use crate::state::installations::Installation;
use crate::stores::Grade;
use crate::view::FreshStartView;

impl Work<'_> {
    /// Writes down where it stands.
    pub(super) fn advance(&mut self, state: FreshState) -> Result<()> {
        let now = self.engine.clock.now();
        self.row.plan = self.db()?.advance_fresh_start(self.row.id, state, &self.plan, now)?;
        self.row.state = state;
        self.row.ended_at = self.row.ended_at.or_else(|| state.is_final().then_some(now));
        Ok(())
    }

    fn db(&self) -> Result<Db> {
        self.engine.db()
    }

    pub(super) fn view(&self) -> Result<FreshStartView> {
        view(&self.row, &self.plan)
    }

    /// The old installation. Passfiles of the two stand apart.
    pub(super) fn old(&self) -> Result<Site> {
        let installation = self.db()?.installation(&self.row.installation)?;
        self.site(installation, "old")
    }

    /// The new one, once its settings are there.
    pub(super) fn new_site(&self) -> Result<Site> {
        let old = self.db()?.installation(&self.row.installation)?;
        let installation = Installation {
            name: self.row.successor.clone(),
            folder: self.plan.folder.clone(),
            version: Some(self.plan.to.clone()),
            added_at: self.engine.clock.now(),
            ..old
        };
        self.site(installation, "new")
    }

    fn site(&self, installation: Installation, which: &str) -> Result<Site> {
        let engine = self.engine;
        let runner = Arc::new(SystemRunner::new().clock(Arc::clone(&engine.clock)));
        let label = format!("liftlock/process-{}-{which}/1", std::process::id());
        Site::open(installation, &engine.home, runner, Arc::clone(&engine.clock), &label)
    }

    pub(super) fn expect_proven_backup(&self) -> Result<()> {
        let path = self.plan.backup.as_deref().unwrap_or(Path::new(""));
        let backup = backups::open(path)?;
        if backup.grade < Grade::Proven || backup.failed.is_some() {
            return Err(Error::refused("not_proven", "The backup of the old installation is not proven.")
                .remedy(format!("`liftlock backup verify {}` tells why. Nothing was changed.", path.display())));
        }
        Ok(())
    }

    pub(super) fn drive(&mut self) -> Result<()> {
        if matches!(self.row.state, FreshState::BackingUp | FreshState::Building) {
            beside::build(self).map_err(|error| {
                let name = &self.row.installation;
                error.detail(format!(
                    "{name} is in use as before. `liftlock fresh-start {name}` goes on from here, with --cancel it is taken back."
                ))
            })?;
            self.advance(FreshState::SettingAside)?;
            crash::point("forward", "fresh_start/built", Moment::AfterOutcome);
        }
        let gone_on = self.set_aside().and_then(|()| self.open());
        let Err(error) = gone_on else { return Ok(()) };
        // Nobody shall stand before a closed door because the new one did not open.
        let back = match self.row.state {
            FreshState::SettingAside => self.take_back().map(|()| "It was taken back"),
            _ => self.return_to_old().map(|()| "The old one was started again"),
        };
        Err(match back {
            Ok(what) => error.detail(format!("{what}: {} is in use as before.", self.row.installation)),
            Err(worse) => error
                .detail(format!("and it could not be taken back: {worse}"))
                .remedy(format!("`liftlock fresh-start {} --cancel` tries that again.", self.row.installation)),
        })
    }

    /// Stops the old one, exports what was written since, and looks at the new one behind its gate.
    fn set_aside(&mut self) -> Result<()> {
        if self.row.state != FreshState::SettingAside {
            return Ok(());
        }
        let old = self.old()?;
        if self.plan.autostart.is_none() {
            self.plan.autostart = Some(old.autostart(self.reporter)?);
            self.advance(FreshState::SettingAside)?;
        }
        crash::point("forward", "fresh_start/set_aside", Moment::AfterIntent);
        old.hold_autostart(self.plan.autostart.as_ref().unwrap_or(&Value::Null), self.reporter)?;
        stop(&old, self.reporter)?;
        self.plan.written_until = Some(self.engine.clock.now());
        crash::point("forward", "fresh_start/set_aside", Moment::MidEffect);
        self.export_the_rest(&old)?;
        let new = self.new_site()?;
        let gate = match new.profile.gate {
            Some(_) => Gate::Private(port::any_free(std::net::Ipv4Addr::LOCALHOST.into())?),
            None => Gate::Public,
        };
        self.start_and_look(&new, gate)?;
        stop(&new, self.reporter)?;
        crash::point("forward", "fresh_start/set_aside", Moment::AfterEffect);
        self.advance(FreshState::Opening)
    }

    /// What was written between the export and the stop comes along too.
    fn export_the_rest(&mut self, old: &Site) -> Result<()> {
        let Some(folder) = self.plan.export.clone() else { return Ok(()) };
        let manifest = export::open(&folder)?;
        let mut changed = false;
        for store in old.stores.iter().filter(|it| manifest.entities.iter().any(|entity| entity.store == it.name())) {
            let moment = manifest.moments.get(store.name()).cloned().unwrap_or_default();
            changed |= store.changed_since(&moment, self.reporter)?;
        }
        // Of what is only read nobody can tell.
        changed |= old.sources.iter().any(|it| manifest.entities.iter().any(|entity| entity.store == it.name()));
        if !changed {
            return Ok(());
        }
        self.reporter.say("something was written since the export: exporting once more");
        // Every entity has the same.
        let formats = manifest.entities.iter().take(1).flat_map(|it| it.files.iter().map(|it| it.format)).collect();
        let choice = ExportChoice {
            to: None,
            only: manifest.entities.iter().map(|it| it.entity.clone()).collect(),
            everything: true,
            as_tables: false,
            formats,
            separator: Some(manifest.separator),
            bytes: manifest.bytes_form(),
            zip: folder.is_file(),
        };
        let version = self.plan.from.clone();
        let made = self.engine.export_of(old, version, &choice, self.reporter)?;
        self.plan.says.push(format!(
            "Something was written after {} was exported. Everything was exported again after the stop.",
            folder.display()
        ));
        self.plan.export = Some(PathBuf::from(made.folder));
        self.advance(FreshState::SettingAside)
    }

    pub(super) fn start_and_look(&self, site: &Site, gate: Gate) -> Result<()> {
        for component in site.driver.components() {
            site.start(&component, gate, self.reporter)?;
        }
        site.wait_until_healthy(gate, Budget::after_start(site.profile.limits.start_within), self.reporter)?;
        let version = site.ask_version(gate, self.reporter)?.to_string();
        if version != self.plan.to {
            return Err(Error::failed("wrong_version", format!("{version} answers instead of {}.", self.plan.to))
                .remedy("Report it to the makers of the application."));
        }
        Ok(())
    }

    /// Gives the new one the public port, and lists it.
    fn open(&mut self) -> Result<()> {
        let new = self.new_site()?;
        crash::point("forward", "fresh_start/open", Moment::AfterIntent);
        self.start_and_look(&new, Gate::Public)?;
        crash::point("forward", "fresh_start/open", Moment::MidEffect);
        let mut db = self.db()?;
        let listed = db
            .installations()?
            .into_iter()
            .any(|it| it.name == new.installation.name && it.folder == new.installation.folder);
        if !listed {
            db.add_installation(&new.installation)?;
        }
        self.engine.note_installation(&new.installation)?;
        new.take_baseline(&self.plan.to, self.reporter)?;
        durable::unmark(&self.plan.folder)?;
        let (old, to) = (&self.row.installation, &self.plan.to);
        self.plan.says.push(format!(
            "{to} is in use and empty. {old} was stopped and set aside with all its data; it can be started again at any time."
        ));
        self.advance(FreshState::Complete)?;
        crash::point("forward", "fresh_start/open", Moment::AfterOutcome);
        Ok(())
    }

    /// Stops the new one and starts the old one; both stay.
    fn return_to_old(&mut self) -> Result<()> {
        stop(&self.new_site()?, self.reporter)?;
        self.start_old()?;
        self.advance(FreshState::SettingAside)
    }

    pub(super) fn start_old(&self) -> Result<()> {
        let old = self.old()?;
        if let Some(found) = &self.plan.autostart {
            old.restore_autostart(found, self.reporter)?;
        }
        if !self.plan.was_running {
            return Ok(());
        }
        for component in old.driver.components() {
            old.start(&component, Gate::Public, self.reporter)?;
        }
        old.wait_until_healthy(Gate::Public, Budget::after_start(old.profile.limits.start_within), self.reporter)
    }

    /// Puts everything back: the old one first, then what was made goes, unless somebody has written into it.
    pub(super) fn take_back(&mut self) -> Result<()> {
        self.advance(FreshState::Undoing)?;
        crash::point("back", "fresh_start", Moment::AfterIntent);
        let new = beside::is_made(&self.plan).then(|| self.new_site()).transpose()?;
        if let Some(new) = &new {
            stop(new, self.reporter)?;
        }
        self.start_old()?;
        crash::point("back", "fresh_start", Moment::MidEffect);
        let mark = self.mark();
        let written = match (&new, &self.plan.born_with) {
            (Some(new), Some(born)) => new.stores.iter().any(|store| {
                born.get(store.name()).is_some_and(|then| store.counts(&Silent).is_ok_and(|now| now != *then))
            }),
            _ => false,
        };
        if written {
            self.plan.says.push(format!(
                "Somebody has written into {} already, so its folder {} and its database stay.",
                self.plan.to,
                self.plan.folder.display()
            ));
        } else {
            let old = self.old()?;
            for (store, database) in &self.plan.databases {
                if let Some(store) = old.stores.iter().find(|it| it.name() == store) {
                    store.remove_empty(database, &mark)?;
                }
            }
            drop(new);
            durable::remove_tree_that_we_made(&self.plan.folder, PURPOSE)?;
        }
        let mut db = self.db()?;
        if db.installations()?.iter().any(|it| it.name == self.row.successor && it.folder == self.plan.folder) {
            db.remove_installation(&self.row.successor)?;
            self.engine.forget_installation(&self.row.successor);
        }
        self.plan.says.push(format!("{} is in use as before.", self.row.installation));
        self.advance(FreshState::Undone)
    }

    /// What the databases that we make bear.
    pub(super) fn mark(&self) -> String {
        format!("Made by Liftlock for the fresh start {}", self.row.id)
    }
}
