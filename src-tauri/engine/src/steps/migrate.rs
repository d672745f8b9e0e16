//! The release's own migrations, on the copies, and the comparison that decides whether they were lossless.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::model::profile::{CommandLine, Store};
use crate::model::state::State;
use crate::ports::SignOfWork;
use crate::state::journal::{Direction, StepKey, StepRun};
use crate::steps::aside::{aside_of, counts_before};
use crate::steps::check::Way;
use crate::steps::commands::{Pointed, did_not_work, run};
use crate::steps::{Step, World, key, record, store_key};
use crate::stores::{Counts, DataStore, Place};

/// One command around or of the migrations.
#[derive(Debug, Clone)]
pub struct Migrate {
    /// `pre_upgrade`, `migrate` or `post_upgrade`.
    pub name: &'static str,
    /// The command.
    pub line: CommandLine,
    /// The stores that it is pointed at.
    pub stores: Vec<Arc<dyn DataStore>>,
}

/// Rows that are fewer than before, by table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loss {
    /// The store.
    pub store: String,
    /// The table.
    pub table: String,
    /// Rows before.
    pub before: u64,
    /// Rows after; none where the table is gone.
    pub after: Option<u64>,
}

impl std::fmt::Display for Loss {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.after {
            Some(after) => {
                write!(f, "{} of {} rows of {} in {}", self.before - after, self.before, self.table, self.store)
            }
            None => write!(f, "the table {} with {} rows in {}", self.table, self.before, self.store),
        }
    }
}

/// Where there were rows before and are fewer now. The engine never takes a number for granted that it did not count.
pub(crate) fn losses(store: &str, before: &Counts, after: &Counts) -> Vec<Loss> {
    before
        .iter()
        .filter(|(table, rows)| after.get(*table).is_none_or(|it| it < rows))
        // An empty table that is dropped holds nothing of the user's.
        .filter(|(table, rows)| **rows > 0 || after.contains_key(*table))
        .map(|(table, rows)| Loss {
            store: store.to_owned(),
            table: table.clone(),
            before: *rows,
            after: after.get(table).copied(),
        })
        .collect()
}

/// Whether a person has accepted exactly this loss, as `store.table=rows`.
pub(crate) fn is_accepted(accepted: &[String], loss: &Loss) -> bool {
    let lost = loss.before - loss.after.unwrap_or(0);
    accepted.iter().any(|it| *it == format!("{}.{}={lost}", loss.store, loss.table))
}

/// The refusal of a release that would remove rows, with the words that would accept it.
pub(crate) fn rows_lost(losses: &[Loss], when: &str) -> Error {
    let list: Vec<_> = losses.iter().map(ToString::to_string).collect();
    let accept: Vec<_> = losses
        .iter()
        .map(|it| format!("--accept-loss {}.{}={}", it.store, it.table, it.before - it.after.unwrap_or(0)))
        .collect();
    Error::failed("rows_lost", format!("The release removes data ({when}): {}.", list.join("; "))).remedy(format!(
        "Ask the makers of the application whether that is meant. If it is, start the update with: {}",
        accept.join(" ")
    ))
}

/// Where the commands of the release find each store: its copy, where it has one.
pub(crate) fn places<'w>(stores: &[Arc<dyn DataStore>], world: &'w World<'_>) -> Result<Vec<(&'w Store, Place)>> {
    stores
        .iter()
        .filter_map(|store| Some((store, world.site.profile.store(store.name())?)))
        .filter(|(_, declared)| !declared.point_at().is_empty())
        .map(|(store, declared)| {
            let intent = aside_of(world, store.name())?;
            let place = if intent.way == Way::Copy && store.changes_places() {
                store.next_place(&intent.aside)?
            } else {
                store.place()?
            };
            Ok((declared, place))
        })
        .collect()
}

impl Step for Migrate {
    fn phase(&self) -> State {
        State::Migrating
    }
    fn key(&self) -> StepKey {
        key(self.name)
    }
    fn does(&self) -> String {
        match self.name {
            "migrate" => "Fit the copy of the data to the new version, with the release's own command.".to_owned(),
            other => format!("Run the {other} command of the profile."),
        }
    }
    fn weight(&self) -> f64 {
        if self.name == "migrate" { 15.0 } else { 2.0 }
    }
    fn deadline(&self, world: &World<'_>) -> Duration {
        world.site.profile.limits.migrate_within
    }

    fn observe(&self, _world: &World<'_>, _intent: &Value) -> Result<crate::steps::Observed> {
        // Another application's command may have done anything up to its end.
        Ok(crate::steps::Observed::Unknown(format!("the {} command was interrupted", self.name)))
    }

    fn act(&self, world: &World<'_>, _intent: &Value) -> Result<Value> {
        let checked = world.checked()?;
        let release = world.site.release_folder(&checked.to)?;
        let signs: Vec<Box<dyn SignOfWork>> =
            self.stores.iter().filter_map(|it| it.sign_of_work(&aside_of(world, it.name()).ok()?.aside)).collect();
        let signs: Vec<&dyn SignOfWork> = signs.iter().map(AsRef::as_ref).collect();
        let pointed = Pointed {
            release: &release,
            version: &checked.to,
            at: places(&self.stores, world)?,
            env: Vec::new(),
            network: None,
        };
        let finished = run(world, &self.line, &pointed, world.site.profile.limits.migrate_within, &signs)?;
        world.halfway("forward", &self.key());
        if !finished.succeeded() {
            return Err(did_not_work(
                "migration_failed",
                &format!("The {} command of the release", self.name),
                &finished,
            ));
        }
        Ok(json!({ "ok": true }))
    }

    fn undo(&self, world: &World<'_>, _intent: &Value) -> Result<()> {
        // What it did, it did to the copy; the copy is left behind by the stores' own way back.
        world.halfway("back", &self.key());
        Ok(())
    }
}

/// Whether any command has been begun that may have changed data.
pub(crate) fn was_begun(world: &World<'_>) -> Result<bool> {
    Ok(migration_was_begun(&world.journal().runs()?))
}

/// The same, from the journal.
pub(crate) fn migration_was_begun(runs: &[StepRun]) -> bool {
    let names = ["pre_upgrade", "migrate", "post_upgrade"];
    runs.iter().any(|it| it.direction == Direction::Forward && names.contains(&it.key.step.as_str()))
}

/// Compares original and copy before the new version may start.
#[derive(Debug, Clone)]
pub struct Compare {
    /// The store.
    pub store: Arc<dyn DataStore>,
}

impl Compare {
    pub(crate) fn key_of(store: &str) -> StepKey {
        store_key("compare", store)
    }
}

impl Step for Compare {
    fn phase(&self) -> State {
        State::Migrating
    }
    fn key(&self) -> StepKey {
        Self::key_of(self.store.name())
    }
    fn does(&self) -> String {
        format!("Compare the rows of {} before and after; a loss brings the old version back.", self.store.name())
    }
    fn deadline(&self, world: &World<'_>) -> Duration {
        world.site.profile.limits.backup_within
    }
    fn observe(&self, _world: &World<'_>, _intent: &Value) -> Result<crate::steps::Observed> {
        Ok(crate::steps::Observed::NotStarted)
    }
    fn act(&self, world: &World<'_>, _intent: &Value) -> Result<Value> {
        let intent = aside_of(world, self.store.name())?;
        let before = counts_before(world, self.store.name())?;
        let after = match intent.way {
            Way::Copy | Way::FromBackup => self.store.next_counts(&intent.aside, world.reporter)?,
            Way::InPlace => self.store.counts(world.reporter)?,
        };
        world.halfway("forward", &self.key());
        if intent.way == Way::FromBackup {
            return crate::steps::restore::expect_what_was_backed_up(world, self.store.name(), after);
        }
        let lost: Vec<_> = losses(self.store.name(), &before, &after)
            .into_iter()
            .filter(|it| !is_accepted(&world.options.accepted_losses, it))
            .collect();
        if lost.is_empty() {
            record(&BTreeMap::from([("after", after)]))
        } else {
            Err(rows_lost(&lost, "seen before it was started"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(rows: &[(&str, u64)]) -> Counts {
        rows.iter().map(|(table, rows)| ((*table).to_owned(), *rows)).collect()
    }

    #[test]
    fn fewer_rows_or_a_missing_table_are_a_loss_and_more_are_not() {
        let before = counts(&[("a", 10), ("b", 5), ("c", 3), ("empty", 0)]);
        let after = counts(&[("a", 12), ("b", 4), ("new", 7)]);
        let lost = losses("db", &before, &after);
        assert_eq!(lost.iter().map(|it| it.table.as_str()).collect::<Vec<_>>(), ["b", "c"]);
        assert_eq!(lost[0].to_string(), "1 of 5 rows of b in db");
        assert_eq!(lost[1].to_string(), "the table c with 3 rows in db");
    }

    #[test]
    fn only_exactly_the_loss_that_was_shown_is_accepted() {
        let loss = Loss { store: "db".into(), table: "public.notes".into(), before: 10, after: Some(4) };
        assert!(is_accepted(&["db.public.notes=6".into()], &loss));
        assert!(!is_accepted(&["db.public.notes=5".into(), "db.public.notes".into()], &loss));
    }
}
