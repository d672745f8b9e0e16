//! Stores are set aside before anything changes them, and change places once the copy has been proven.
//!
//! The copy is what gets migrated; the original is closed and stays as it is. Without room for a copy the plan
//! says so beforehand: then a final dump is taken after the stop and proven, and the data is changed in place.

use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::error::{Error, Kind, Result};
use crate::model::ids::UpgradeId;
use crate::model::state::State;
use crate::state::home::Home;
use crate::state::journal::StepKey;
use crate::state::kept::Original;
use crate::steps::check::Way;
use crate::steps::{Observed, Step, World, parse, record, store_key};
use crate::stores::{Aside, AsideState, Counts, DataStore, Dumped};

/// Sets one store aside.
#[derive(Debug, Clone)]
pub struct SetAside {
    /// The store.
    pub store: Arc<dyn DataStore>,
}

/// Puts the migrated copy in the place of the original.
#[derive(Debug, Clone)]
pub struct Swap {
    /// The store.
    pub store: Arc<dyn DataStore>,
}

/// What setting a store aside needs to know again.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct AsideIntent {
    pub(crate) way: Way,
    pub(crate) aside: Aside,
}

/// What setting a store aside found.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct AsideAnswer {
    /// Rows before, counted after the stop.
    pub(crate) counts: Counts,
    /// The final dump, where the data is changed in place.
    pub(crate) final_dump: Option<FinalDump>,
}

/// A proven dump taken after the stop.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct FinalDump {
    pub(crate) folder: PathBuf,
    pub(crate) dumped: Dumped,
}

/// Where the proven dump of a store that is changed in place lies.
pub(crate) fn final_dump(home: &Home, id: UpgradeId, store: &str) -> PathBuf {
    home.upgrade(id).join("final").join(store)
}

impl SetAside {
    pub(crate) fn key_of(store: &str) -> StepKey {
        store_key("set_aside", store)
    }

    fn take_final_dump(&self, world: &World<'_>) -> Result<FinalDump> {
        let folder = final_dump(world.home, world.id, self.store.name());
        if folder.exists() {
            // A part of a killed worker: nothing else ever writes there.
            std::fs::remove_dir_all(&folder).map_err(|cause| Error::io("clear", &folder, &cause))?;
        }
        crate::state::home::make_private_dir(&folder)?;
        let dumped = self.store.dump(&folder, world.reporter)?;
        world.halfway("forward", &self.key());
        self.store.prove(&dumped, &folder, &world.scratch, world.reporter)?;
        keep(world, self.store.as_ref(), "final_dump", folder.display().to_string(), Some(dumped.bytes))?;
        Ok(FinalDump { folder, dumped })
    }
}

impl Step for SetAside {
    fn phase(&self) -> State {
        State::Applying
    }
    fn key(&self) -> StepKey {
        Self::key_of(self.store.name())
    }
    fn does(&self) -> String {
        if self.store.changes_places() {
            format!("Set the original of {} aside, untouched.", self.store.name())
        } else {
            format!("List {}, whose files are never rewritten.", self.store.name())
        }
    }
    fn weight(&self) -> f64 {
        8.0
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
        let way = world.checked()?.way_of(self.store.name());
        record(&AsideIntent { way, aside: self.store.plan_aside(&world.id.short())? })
    }

    fn observe(&self, _world: &World<'_>, intent: &Value) -> Result<Observed> {
        let intent: AsideIntent = parse(intent)?;
        if intent.way == Way::InPlace {
            return Ok(Observed::Partial);
        }
        Ok(match self.store.observe(&intent.aside)? {
            // The answer holds counts that only the act can take, and the act is safe to begin again.
            AsideState::NotStarted | AsideState::Copying | AsideState::Copied => Observed::Partial,
            AsideState::Swapping | AsideState::Swapped | AsideState::PutBack => {
                Observed::Unknown(format!("{} has already changed places", self.store.name()))
            }
            AsideState::Unknown(why) => Observed::Unknown(why),
        })
    }

    fn act(&self, world: &World<'_>, intent: &Value) -> Result<Value> {
        let intent: AsideIntent = parse(intent)?;
        match intent.way {
            Way::FromBackup => {
                let backup = crate::steps::restore::backup_to_restore(world)?;
                let counts = counts_if_readable(self.store.as_ref(), world)?;
                let dumped = backup.dumped(self.store.name())?;
                let keys = world.journal().db().backup_keys()?;
                let opened = crate::backups::opened(&backup, dumped, &keys, &world.scratch, world.reporter)?;
                self.store.restore_next(&intent.aside, &opened.dumped, &opened.folder, world.reporter)?;
                world.halfway("forward", &self.key());
                record(&AsideAnswer { counts, final_dump: None })
            }
            Way::InPlace => {
                let counts = self.store.counts(world.reporter)?;
                let final_dump = Some(self.take_final_dump(world)?);
                record(&AsideAnswer { counts, final_dump })
            }
            Way::Copy => {
                self.store.copy_next(&intent.aside, world.reporter)?;
                world.halfway("forward", &self.key());
                // The copy has just been made of a store that nobody writes to: its counts are the original's.
                let counts = self.store.next_counts(&intent.aside, world.reporter)?;
                record(&AsideAnswer { counts, final_dump: None })
            }
        }
    }

    fn undo(&self, world: &World<'_>, intent: &Value) -> Result<()> {
        let intent: AsideIntent = parse(intent)?;
        world.halfway("back", &self.key());
        match intent.way {
            Way::Copy | Way::FromBackup => put_back(world, self.store.as_ref(), &intent.aside),
            Way::InPlace => restore_in_place(world, self.store.as_ref(), &intent),
        }
    }
}

/// Rows of what is set aside; none where it cannot be read, which must not keep anybody from going back to a backup.
fn counts_if_readable(store: &dyn DataStore, world: &World<'_>) -> Result<Counts> {
    store.counts(world.reporter).or_else(|error| {
        if error.kind == Kind::LeaseLost || matches!(error.class.as_ref(), "cancelled" | "deadline") {
            return Err(error);
        }
        world.reporter.say(&format!("{} cannot be counted, and is set aside as it is: {error}", store.name()));
        Ok(Counts::new())
    })
}

/// Puts the original back and remembers the copy that failed, which is kept.
fn put_back(world: &World<'_>, store: &dyn DataStore, aside: &Aside) -> Result<()> {
    store.put_back(aside)?;
    if !store.changes_places() {
        return Ok(());
    }
    // It is in its place again and no longer kept beside.
    world.journal().db_mut().keep_no_longer(world.id, store.name(), "original")?;
    if store.observe(aside)? == AsideState::PutBack {
        let bytes = store.kept_bytes(aside, true);
        keep(world, store, "failed_copy", store.kept_places(aside).1, bytes)?;
    }
    Ok(())
}

/// After migrations in place: the proven final dump is restored beside, and the two change places.
fn restore_in_place(world: &World<'_>, store: &dyn DataStore, intent: &AsideIntent) -> Result<()> {
    let Some(answer) = world.answer(&SetAside::key_of(store.name())) else {
        // No final dump was finished, so no migration can have begun: the original is untouched.
        return Ok(());
    };
    let answer: AsideAnswer = parse(&answer)?;
    if !crate::steps::migrate::was_begun(world)? {
        return Ok(());
    }
    let Some(dump) = answer.final_dump else { return Ok(()) };
    let (aside, failed) = store.kept_places(&intent.aside);
    // What stands beside is the half-migrated one: aside since the two changed places, else where a copy that failed is.
    let mut half_migrated = (aside, false);
    match store.observe(&intent.aside)? {
        AsideState::Swapped => {}
        AsideState::NotStarted | AsideState::Copying | AsideState::Copied | AsideState::Swapping => {
            store.restore_next(&intent.aside, &dump.dumped, &dump.folder, world.reporter)?;
            let restored = store.next_counts(&intent.aside, world.reporter)?;
            if restored != answer.counts {
                return Err(Error::failed(
                    "restore_differs",
                    format!("The restored copy of {} is not what was dumped.", store.name()),
                )
                .remedy(format!(
                    "The proven dump is in {}. Delete nothing; restore it by hand.",
                    dump.folder.display()
                )));
            }
            store.swap(&intent.aside)?;
        }
        AsideState::PutBack => half_migrated = (failed, true),
        AsideState::Unknown(why) => return Err(unclear(store.name(), &why)),
    }
    let (place, has_failed_name) = half_migrated;
    keep(world, store, "failed_copy", place, store.kept_bytes(&intent.aside, has_failed_name))
}

fn keep(world: &World<'_>, store: &dyn DataStore, kept: &str, place: String, bytes: Option<u64>) -> Result<()> {
    world.journal().db_mut().keep(&Original {
        upgrade_id: world.id,
        installation: world.site.installation.name.clone(),
        store: store.name().to_owned(),
        kept: kept.to_owned(),
        place,
        bytes,
        kept_since: world.clock.now(),
        removing_since: None,
    })
}

fn unclear(store: &str, why: &str) -> Error {
    Error::failed("store_unclear", format!("Liftlock cannot tell how {store} stands: {why}."))
        .remedy("Delete nothing. The originals and the proven backup are named in the receipt.")
}

impl Step for Swap {
    fn phase(&self) -> State {
        State::Migrating
    }
    fn key(&self) -> StepKey {
        store_key("swap", self.store.name())
    }
    fn does(&self) -> String {
        format!("Put the new copy of {} in the place of the original.", self.store.name())
    }
    fn is_cancellable(&self) -> bool {
        false
    }

    fn intent(&self, world: &World<'_>) -> Result<Value> {
        let intent = aside_of(world, self.store.name())?;
        record(&intent)
    }

    fn observe(&self, _world: &World<'_>, intent: &Value) -> Result<Observed> {
        let intent: AsideIntent = parse(intent)?;
        if intent.way == Way::InPlace {
            return Ok(Observed::Partial);
        }
        Ok(match self.store.observe(&intent.aside)? {
            AsideState::Swapped => Observed::Done(json!({ "swapped": true })),
            AsideState::Copied | AsideState::Swapping => Observed::Partial,
            AsideState::NotStarted | AsideState::Copying if !self.store.changes_places() => Observed::Partial,
            AsideState::NotStarted | AsideState::Copying | AsideState::PutBack => {
                Observed::Unknown(format!("the copy of {} is gone", self.store.name()))
            }
            AsideState::Unknown(why) => Observed::Unknown(why),
        })
    }

    fn act(&self, world: &World<'_>, intent: &Value) -> Result<Value> {
        let intent: AsideIntent = parse(intent)?;
        if intent.way == Way::InPlace || !self.store.changes_places() {
            return Ok(json!({ "swapped": false }));
        }
        self.store.swap(&intent.aside)?;
        world.halfway("forward", &self.key());
        let place = self.store.kept_places(&intent.aside).0;
        keep(world, self.store.as_ref(), "original", place, self.store.kept_bytes(&intent.aside, false))?;
        Ok(json!({ "swapped": true }))
    }

    fn undo(&self, world: &World<'_>, intent: &Value) -> Result<()> {
        let intent: AsideIntent = parse(intent)?;
        world.halfway("back", &self.key());
        if intent.way == Way::InPlace {
            return Ok(());
        }
        put_back(world, self.store.as_ref(), &intent.aside)
    }
}

/// How a store was set aside: the newest intent in the journal.
pub(crate) fn aside_of(world: &World<'_>, store: &str) -> Result<AsideIntent> {
    let key = SetAside::key_of(store);
    let runs = world.journal().runs()?;
    let run = runs.iter().rfind(|it| it.key == key && it.direction == crate::state::journal::Direction::Forward);
    run.map(|it| parse(&it.intent))
        .unwrap_or_else(|| Err(Error::bug("not_set_aside", format!("{store} was changed before it was set aside."))))
}

/// What was counted when a store was set aside.
pub(crate) fn counts_before(world: &World<'_>, store: &str) -> Result<Counts> {
    let answer = world
        .answer(&SetAside::key_of(store))
        .ok_or_else(|| Error::bug("not_set_aside", format!("{store} was compared before it was set aside.")))?;
    Ok(parse::<AsideAnswer>(&answer)?.counts)
}
