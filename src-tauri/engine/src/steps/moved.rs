//! A database of another major version: its data is made anew on a new volume, compared row by row, and the container changes
//! places. It is an update to the version that is in use already, so it goes the usual way: backup and proof before, the
//! application behind the gate after, and back where anything is not as it must be.
//!
//! The old volume is never written to once its container has stopped, and never removed. The new one is made here, bears the
//! mark of this update, and goes again on the way back, unless users may have written to it.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::drivers::{DataMove, DataMover, Gate};
use crate::error::{Error, Kind, Result};
use crate::model::finding::Severity;
use crate::model::profile::Store;
use crate::model::state::State;
use crate::probes::Outcome;
use crate::site::Site;
use crate::state::journal::StepKey;
use crate::steps::aside::final_dump;
use crate::steps::check::Checked;
use crate::steps::let_in::users_may_be_in;
use crate::steps::migrate::Compare;
use crate::steps::{Observed, Step, World, key, parse, record};
use crate::stores::DataStore;

/// Looks whether it can be moved.
#[derive(Debug)]
pub struct CheckMove;

/// Gets the image of the new server, while the old one is in use.
#[derive(Debug)]
pub struct PrepareServer;

/// Makes the database anew on the new volume.
#[derive(Debug)]
pub struct MoveDatabase;

/// Gives the service the new image and the new volume.
#[derive(Debug)]
pub struct SwitchDatabase;

/// Counts the rows that are there before anybody is let in.
#[derive(Debug, Clone)]
pub struct CountMoved {
    /// The store.
    pub store: Arc<dyn DataStore>,
}

fn mover<'w>(world: &'w World<'_>) -> Result<&'w dyn DataMover> {
    world
        .site
        .driver
        .data_mover()
        .ok_or_else(|| Error::bug("no_mover", "This kind of installation moves no databases."))
}

/// What was fixed when it was checked.
pub(crate) fn planned(world: &World<'_>) -> Result<DataMove> {
    parse(&world.checked()?.identity)
}

/// The stores that lie on the server of a service.
fn stores_on<'s>(site: &'s Site, service: &str) -> Vec<&'s Arc<dyn DataStore>> {
    let names: Vec<&str> = site
        .profile
        .stores
        .iter()
        .filter_map(|it| match it {
            Store::Postgres(it) if it.service.as_deref() == Some(service) => Some(it.name.as_str()),
            _ => None,
        })
        .collect();
    site.stores.iter().filter(|it| names.contains(&it.name())).collect()
}

/// Everything that must be so before it is begun.
fn expect_movable(world: &World<'_>, plan: &DataMove) -> Result<()> {
    let site = world.site;
    let stores = stores_on(site, &plan.service);
    if stores.is_empty() {
        return Err(Error::refused(
            "unknown_database",
            format!("The profile names no database in the service {}.", plan.service),
        )
        .remedy("Move it by hand with PostgreSQL's own tools, or name it in the profile."));
    }
    let names: Vec<String> = stores
        .iter()
        .filter_map(|it| it.place().ok())
        .filter_map(|it| match it {
            crate::stores::Place::Postgres { database, .. } => Some(database),
            crate::stores::Place::Path(_) => None,
        })
        .collect();
    for store in &stores {
        let others: Vec<String> = store.neighbours()?.into_iter().filter(|it| !names.contains(it)).collect();
        if !others.is_empty() {
            return Err(Error::refused(
                "other_databases",
                format!(
                    "On the same server there are databases that the profile does not know: {}.",
                    others.join(", ")
                ),
            )
            .remedy(
                "They would stay behind. Move them away first, or move all of it by hand with PostgreSQL's own tools.",
            ));
        }
        if let Some(stop) = store.obstacles(world.reporter)?.iter().find(|it| it.severity == Severity::Stop) {
            return Err(stop.to_error());
        }
    }
    let found = site.look_at_installation(None, true, world.reporter);
    match found.iter().find(|it| it.severity == Severity::Stop) {
        Some(stop) => Err(stop.to_error()),
        None => Ok(()),
    }
}

impl Step for CheckMove {
    fn phase(&self) -> State {
        State::Checking
    }
    fn key(&self) -> StepKey {
        key("check")
    }
    fn does(&self) -> String {
        "Look whether the database can be moved, and where to.".to_owned()
    }
    fn observe(&self, _world: &World<'_>, _intent: &Value) -> Result<Observed> {
        Ok(Observed::NotStarted)
    }
    fn act(&self, world: &World<'_>, _intent: &Value) -> Result<Value> {
        let target =
            world.options.move_for.as_deref().ok_or_else(|| Error::bug("no_target", "A move knows no version."))?;
        for seen in world.site.observe(world.reporter)? {
            if let Outcome::Down { message, remedy, .. } = &seen.outcome
                && seen.required
            {
                return Err(Error::refused("unhealthy", format!("The check “{}” is down: {message}", seen.probe))
                    .remedy(remedy.clone()));
            }
        }
        let from = world.site.ask_version(Gate::Public, world.reporter)?.to_string();
        world.journal().set_versions(&from, &from)?;
        let plan = mover(world)?.plan(target)?.ok_or_else(|| {
            Error::refused("nothing_to_move", format!("{target} opens the database as it is."))
                .remedy("Nothing needs to be done.")
        })?;
        expect_movable(world, &plan)?;
        world.halfway("forward", &self.key());
        record(&Checked {
            to: from.clone(),
            from,
            pinned: None,
            ways: std::collections::BTreeMap::new(),
            rehearsal: Some("nothing is fitted to another version".to_owned()),
            was_down: false,
            identity: record(&plan)?,
        })
    }
}

impl Step for PrepareServer {
    fn phase(&self) -> State {
        State::Downloading
    }
    fn key(&self) -> StepKey {
        key("prepare_server")
    }
    fn does(&self) -> String {
        "Fetch the image of the new database server, while the old one is in use.".to_owned()
    }
    fn deadline(&self, _world: &World<'_>) -> std::time::Duration {
        std::time::Duration::from_secs(6 * 3600)
    }
    fn act(&self, world: &World<'_>, _intent: &Value) -> Result<Value> {
        let plan = mover(world)?.prepare(&planned(world)?, world.reporter)?;
        world.halfway("forward", &self.key());
        record(&plan)
    }
}

/// The plan with the image that is here.
fn prepared(world: &World<'_>) -> Result<DataMove> {
    world.answer(&PrepareServer.key()).map_or_else(|| planned(world), |it| parse(&it))
}

impl Step for MoveDatabase {
    fn phase(&self) -> State {
        State::Applying
    }
    fn key(&self) -> StepKey {
        key("move_database")
    }
    fn does(&self) -> String {
        "Make the database anew on a new volume, by the new server, and compare every row.".to_owned()
    }
    fn weight(&self) -> f64 {
        15.0
    }
    fn deadline(&self, world: &World<'_>) -> std::time::Duration {
        world.site.profile.limits.backup_within
    }
    fn is_behind_the_page(&self) -> bool {
        true
    }
    fn is_behind_the_page_on_the_way_back(&self) -> bool {
        true
    }
    fn intent(&self, world: &World<'_>) -> Result<Value> {
        record(&prepared(world)?)
    }
    fn act(&self, world: &World<'_>, intent: &Value) -> Result<Value> {
        let plan: DataMove = parse(intent)?;
        let id = world.id.to_string();
        let mover = mover(world)?;
        // What a killed worker began is begun anew.
        mover.discard(&plan, &id, world.reporter)?;
        let container = mover.begin(&plan, &id, world.reporter)?;
        let mut counts = std::collections::BTreeMap::new();
        for store in &world.site.stores {
            counts.insert(store.name().to_owned(), store.counts(world.reporter)?);
        }
        for store in stores_on(world.site, &plan.service) {
            let folder = final_dump(world.home, world.id, store.name());
            if folder.exists() {
                std::fs::remove_dir_all(&folder).map_err(|cause| Error::io("clear", &folder, &cause))?;
            }
            crate::state::home::make_private_dir(&folder)?;
            let moment = store.moment(world.reporter)?;
            let dumped = store.dump(&folder, world.reporter)?;
            world.halfway("forward", &self.key());
            store.restore_elsewhere(&container, &dumped, &folder, world.reporter)?;
            if store.changed_since(&moment, world.reporter)? {
                return Err(Error::failed(
                    "written_meanwhile",
                    format!("Something wrote to {} although the application is stopped.", store.name()),
                )
                .remedy("Stop whatever else uses this database, then try again."));
            }
            // All of it is on the new volume, and the old one is kept.
            std::fs::remove_dir_all(&folder).map_err(|cause| Error::io("clear", &folder, &cause))?;
        }
        mover.end(&plan, &id, world.reporter)?;
        Ok(json!({ "volume": plan.new_volume, "counts": counts }))
    }
    fn undo(&self, world: &World<'_>, intent: &Value) -> Result<()> {
        let plan: DataMove = parse(intent)?;
        world.halfway("back", &self.key());
        let runs = world.journal().runs()?;
        let forward: Vec<_> =
            runs.into_iter().filter(|it| it.direction == crate::state::journal::Direction::Forward).collect();
        if users_may_be_in(&world.site.profile, &forward) {
            world.reporter.say(&format!("The volume {} is kept: users may have written to it.", plan.new_volume));
            return mover(world)?.end(&plan, &world.id.to_string(), world.reporter);
        }
        mover(world)?.discard(&plan, &world.id.to_string(), world.reporter)
    }
}

impl Step for SwitchDatabase {
    fn phase(&self) -> State {
        State::Migrating
    }
    fn key(&self) -> StepKey {
        key("switch_database")
    }
    fn does(&self) -> String {
        "Start the database of the application with the new server on the new volume; the old volume stays as it is."
            .to_owned()
    }
    fn is_cancellable(&self) -> bool {
        false
    }
    fn intent(&self, world: &World<'_>) -> Result<Value> {
        Ok(json!({ "plan": prepared(world)?, "before": mover(world)?.places()? }))
    }
    fn act(&self, world: &World<'_>, intent: &Value) -> Result<Value> {
        let plan: DataMove = parse(&intent["plan"])?;
        let_go(world);
        mover(world)?.switch(&plan, &|| world.halfway("forward", &self.key()), world.reporter)?;
        hold(world, &plan)?;
        Ok(json!({ "volume": plan.new_volume }))
    }
    fn undo(&self, world: &World<'_>, intent: &Value) -> Result<()> {
        let plan: DataMove = parse(&intent["plan"])?;
        let_go(world);
        mover(world)?.switch_back(&plan, &intent["before"], &|| world.halfway("back", &self.key()), world.reporter)?;
        hold(world, &plan)
    }
}

/// Leases are sessions on the server that goes.
fn let_go(world: &World<'_>) {
    world.servers.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clear();
}

/// Takes the leases on the server that came, which must answer.
fn hold(world: &World<'_>, plan: &DataMove) -> Result<()> {
    for store in stores_on(world.site, &plan.service) {
        store.size(world.reporter)?;
    }
    let held = match world.site.hold_server_leases() {
        Err(error) if error.kind == Kind::Busy => return Err(error),
        held => held?,
    };
    *world.servers.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = held;
    Ok(())
}

impl Step for CountMoved {
    fn phase(&self) -> State {
        State::Migrating
    }
    fn key(&self) -> StepKey {
        Compare::key_of(self.store.name())
    }
    fn does(&self) -> String {
        format!("Count what is in {} before anybody is let in.", self.store.name())
    }
    fn deadline(&self, world: &World<'_>) -> std::time::Duration {
        world.site.profile.limits.backup_within
    }
    fn observe(&self, _world: &World<'_>, _intent: &Value) -> Result<Observed> {
        Ok(Observed::NotStarted)
    }
    fn act(&self, world: &World<'_>, _intent: &Value) -> Result<Value> {
        Ok(json!({ "after": self.store.counts(world.reporter)? }))
    }
}
