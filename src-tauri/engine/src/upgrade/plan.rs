//! Which steps an upgrade of this installation has, in order. Worked out from the profile alone, so that every
//! worker that takes an upgrade up finds the same.

use std::sync::Arc;

use crate::model::profile::Driver;
use crate::site::Site;
use crate::state::upgrades::Options;
use crate::steps::Step;
use crate::steps::aside::{SetAside, Swap};
use crate::steps::backup::{ProveBackup, TakeBackup};
use crate::steps::check::Check;
use crate::steps::migrate::{Compare, Migrate};
use crate::steps::moved::{CheckMove, CountMoved, MoveDatabase, PrepareServer, SwitchDatabase};
use crate::steps::rehearse::Rehearse;
use crate::steps::release::{Fetch, Prepare, Switch};
use crate::steps::restore::{CheckRestore, TakeSafetyCopy};
use crate::steps::schema::{self, CheckSchema};
use crate::steps::serve::{HoldAutostart, OpenGate, RestoreAutostart, StartBehindGate, Stop, Verify};
use crate::steps::settings::{CheckSettings, WriteSettings};
use crate::stores::DataStore;

/// The steps, in the order in which they are taken.
pub fn steps_of(site: &Site, options: &Options) -> Vec<Box<dyn Step>> {
    if options.restore.is_some() {
        return steps_of_restore(site);
    }
    if options.move_for.is_some() {
        return steps_of_move(site);
    }
    let mut steps: Vec<Box<dyn Step>> =
        vec![Box::new(Check), Box::new(TakeBackup), Box::new(ProveBackup), Box::new(Fetch), Box::new(CheckSettings)];
    if let Some(does) = site.driver.prepares() {
        steps.push(Box::new(Prepare { does }));
    }
    steps.push(Box::new(Rehearse { stores: site.stores.clone() }));
    steps.push(Box::new(HoldAutostart));
    for component in site.stopped().into_iter().rev() {
        steps.push(Box::new(Stop { component, has_page: site.profile.gate.is_some() }));
    }
    if !site.profile.settings.is_empty() || matches!(site.profile.driver, Driver::Compose(_)) {
        steps.push(Box::new(WriteSettings));
    }
    // All are set aside before any is changed.
    for store in &site.stores {
        steps.push(Box::new(SetAside { store: Arc::clone(store) }));
    }
    // Where it was not proven that commands follow when they are pointed elsewhere, they would find the original; so they would
    // where they cannot be pointed elsewhere at all.
    let follows = |it: &dyn DataStore| {
        let is_pointed = site.profile.store(it.name()).is_some_and(|it| !it.point_at().is_empty());
        site.profile.can_rehearse() && (is_pointed || !it.changes_places())
    };
    let (after, before): (Vec<_>, Vec<_>) = site.stores.iter().partition(|it| follows(it.as_ref()));
    let swap = |store: &Arc<dyn DataStore>| Box::new(Swap { store: Arc::clone(store) }) as Box<dyn Step>;
    steps.extend(before.into_iter().map(swap));
    if let Some(migrations) = &site.profile.migrations {
        let lines = [
            ("pre_upgrade", &migrations.pre_upgrade),
            ("migrate", &migrations.migrate),
            ("post_upgrade", &migrations.post_upgrade),
        ];
        for (name, line) in lines {
            if let Some(line) = line {
                steps.push(Box::new(Migrate { name, line: line.clone(), stores: site.stores.clone() }));
            }
        }
        if schema::questions(migrations).is_some() {
            steps.push(Box::new(CheckSchema { stores: site.stores.clone() }));
        }
    }
    for store in &site.stores {
        steps.push(Box::new(Compare { store: Arc::clone(store) }));
    }
    steps.extend(after.into_iter().map(swap));
    steps.extend(to_the_users(site.profile.gate.is_some()));
    steps
}

/// A return to a backup walks the same way, without a release to fetch or data to fit: what is there now is set
/// aside like any original, and comes back if the restored one does not run.
fn steps_of_restore(site: &Site) -> Vec<Box<dyn Step>> {
    let mut steps: Vec<Box<dyn Step>> = vec![Box::new(CheckRestore), Box::new(TakeSafetyCopy), Box::new(HoldAutostart)];
    for component in site.stopped().into_iter().rev() {
        steps.push(Box::new(Stop { component, has_page: site.profile.gate.is_some() }));
    }
    for store in &site.stores {
        steps.push(Box::new(SetAside { store: Arc::clone(store) }));
    }
    for store in &site.stores {
        steps.push(Box::new(Compare { store: Arc::clone(store) }));
    }
    for store in &site.stores {
        steps.push(Box::new(Swap { store: Arc::clone(store) }));
    }
    steps.extend(to_the_users(site.profile.gate.is_some()));
    steps
}

/// A move of the database goes to the version that is in use: what changes places is the server below it.
fn steps_of_move(site: &Site) -> Vec<Box<dyn Step>> {
    let mut steps: Vec<Box<dyn Step>> = vec![
        Box::new(CheckMove),
        Box::new(TakeBackup),
        Box::new(ProveBackup),
        Box::new(PrepareServer),
        Box::new(HoldAutostart),
    ];
    for component in site.stopped().into_iter().rev() {
        steps.push(Box::new(Stop { component, has_page: site.profile.gate.is_some() }));
    }
    steps.push(Box::new(MoveDatabase));
    steps.push(Box::new(SwitchDatabase));
    for store in &site.stores {
        steps.push(Box::new(CountMoved { store: Arc::clone(store) }));
    }
    steps.extend(behind_the_gate(site.profile.gate.is_some()));
    steps
}

fn to_the_users(has_gate: bool) -> Vec<Box<dyn Step>> {
    let mut steps: Vec<Box<dyn Step>> = vec![Box::new(Switch)];
    steps.extend(behind_the_gate(has_gate));
    steps
}

fn behind_the_gate(has_gate: bool) -> Vec<Box<dyn Step>> {
    vec![
        Box::new(StartBehindGate { has_gate }),
        Box::new(Verify),
        Box::new(OpenGate { has_gate }),
        Box::new(RestoreAutostart),
    ]
}
