//! The ways in which an upgrade ends: receipt first, then state, history record and result in one transaction.

use std::path::PathBuf;

use serde_json::Value;

use crate::crash::{self, Moment};
use crate::error::{Error, Kind, Result};
use crate::model::profile::Store;
use crate::model::state::{Event, State};
use crate::ports::Reporter;
use crate::receipt::{Attention, BackupLine, OriginalLine, Receipt, StepLine, StoreLine};
use crate::secrets::masked_error;
use crate::state::journal::{Direction, Ending, RunOutcome, StepRun};
use crate::state::upgrades::{Outcome, Upgrade};
use crate::steps::aside::{AsideAnswer, SetAside, aside_of};
use crate::steps::backup::backup_of;
use crate::steps::check::Way;
use crate::steps::let_in::users_may_be_in;
use crate::steps::migrate::{Compare, losses, was_begun};
use crate::steps::moved::{MoveDatabase, planned};
use crate::steps::rehearse::{Rehearse, Rehearsed};
use crate::steps::restore::SafetyCopy;
use crate::steps::serve::RestoreAutostart;
use crate::steps::{Step, World, parse};
use crate::stores::{AsideState, Counts, Grade, StoreKind};
use crate::upgrade::drive::Drive;

/// The new version runs with all data.
pub(crate) fn complete(drive: &Drive<'_>) -> Result<()> {
    let upgrade = drive.journal().upgrade()?;
    let name = &drive.world.site.profile.application.name;
    let mut message = match &upgrade.options.restore {
        None => format!("{name} {} is running.", upgrade.to),
        Some(backup) => format!("{name} {} is running with the data of the backup {backup}.", upgrade.to),
    };
    saw_it_well(drive)?;
    if let Some(goal) = upgrade.options.goal.as_ref().filter(|it| **it != upgrade.to) {
        message = format!("{message} It is a stop on the way to {goal}; the update goes on from here.");
    }
    if upgrade.options.move_for.is_some() {
        message = format!("{message} {}", moved(drive)?);
    }
    if let Some(sentence) = SafetyCopy::sentence(drive.world) {
        message = format!("{message} {sentence}");
    }
    if let Some(warning) = RestoreAutostart::warning(drive.world) {
        message = format!("{message} {warning}");
    }
    end(drive, &upgrade, Event::Advanced, Outcome::Success, message, None)
}

/// What became of the database. What was kept beside it on the old server stays there, and is no longer ours to remove.
fn moved(drive: &Drive<'_>) -> Result<String> {
    let plan = planned(drive.world)?;
    let mut journal = drive.journal();
    let name = &drive.world.site.installation.name;
    for original in journal.db().originals(Some(name))? {
        let is_on_it = |it: &Store| matches!(it, Store::Postgres(it) if it.name == original.store && it.service.as_deref() == Some(&plan.service));
        if drive.world.site.profile.stores.iter().any(is_on_it) {
            journal.db_mut().keep_no_longer(original.upgrade_id, &original.store, &original.kept)?;
        }
    }
    Ok(plan.sentence())
}

/// A rehearsal was all that was asked for: nothing was changed.
pub(crate) fn rehearsed(drive: &Drive<'_>) -> Result<()> {
    let upgrade = drive.journal().upgrade()?;
    let seconds = drive
        .world
        .answer(&Rehearse::key_of())
        .and_then(|it| parse::<Rehearsed>(&it).ok())
        .map_or(0.0, |it| it.seconds);
    let message = format!("The rehearsal passed: the migrations took {seconds:.1} s on a copy. Nothing was changed.");
    end(drive, &upgrade, Event::Cancelled, Outcome::AbortedByUser, message, None)
}

/// It ended before anything was changed.
pub(crate) fn failed(drive: &Drive<'_>, error: Error, cancelled: bool) -> Result<()> {
    let upgrade = drive.journal().upgrade()?;
    let (event, outcome) = match (cancelled, error.kind) {
        (true, _) => (Event::Cancelled, Outcome::AbortedByUser),
        (false, Kind::Refused | Kind::Usage) => (Event::Broke, Outcome::Refused),
        (false, _) => (Event::Broke, Outcome::Failed),
    };
    let name = &drive.world.site.profile.application.name;
    // A release that could not be looked up has no number to name.
    let what = match upgrade.to.as_str() {
        _ if upgrade.options.move_for.is_some() => "The move of the database".to_owned(),
        "latest" => "The update".to_owned(),
        to => format!("The update to {to}"),
    };
    let message = format!("Nothing was changed. {what} stopped before {name} was touched.");
    end(drive, &upgrade, event, outcome, message, Some(error))
}

/// The old version runs with the old data.
pub(crate) fn rolled_back(drive: &Drive<'_>) -> Result<()> {
    drive.world.lower_page();
    let upgrade = drive.journal().upgrade()?;
    let name = &drive.world.site.profile.application.name;
    let is_moved = upgrade.options.move_for.is_some();
    let why = match upgrade.cause.as_ref().filter(|it| it.class != "cancelled") {
        Some(_) if is_moved => "The database was not moved.".to_owned(),
        None if is_moved => "The move of the database was taken back, as you asked.".to_owned(),
        Some(_) => format!("The update to {} did not work.", upgrade.to),
        None => format!("The update to {} was taken back, as you asked.", upgrade.to),
    };
    let from = drive.world.from_version();
    let was_down = drive.world.checked().is_ok_and(|it| it.was_down);
    if !was_down {
        saw_it_well(drive)?;
    }
    let message = if was_down {
        format!("{name} {from} and its data are as they were found; it was not well then either. {why}")
    } else {
        format!("{name} {from} is running again. {why}")
    };
    let error = upgrade.cause.clone().map(|it| it.as_kind(Kind::RolledBack));
    end(drive, &upgrade, Event::Advanced, Outcome::RolledBack, message, error)
}

/// The day counts among those after which what was kept may go.
fn saw_it_well(drive: &Drive<'_>) -> Result<()> {
    drive.journal().db_mut().see(&drive.world.site.installation.name, true, drive.clock.now())
}

/// A person is needed.
pub(crate) fn stranded(drive: &Drive<'_>, error: Error) -> Result<()> {
    let upgrade = drive.journal().upgrade()?;
    if upgrade.state != State::RollingBack {
        drive.journal().leave(&error)?;
    }
    let name = &drive.world.site.profile.application.name;
    let may_be_in = users_may_be_in(&drive.world.site.profile, &drive.journal().runs()?);
    let message = if may_be_in {
        format!("{name} needs you: users may have been let in to {}, so it was not taken back.", upgrade.to)
    } else {
        format!("{name} needs you: Liftlock could not bring {} back.", drive.world.from_version())
    };
    let mut error = error.as_kind(Kind::NeedsAttention);
    if let Some(first) = &upgrade.cause {
        error = error.detail(format!("the update was left because: {first}"));
    }
    error.remedy = if may_be_in {
        format!(
            "Look whether it runs well: `liftlock check {0}`. If it does, say so: `liftlock settle {1}`. To go back all the \
             same, without what was entered since: `liftlock rollback {0} --accept-loss-of-new-work`.",
            upgrade.installation, upgrade.id
        )
    } else {
        format!(
            "{} `liftlock rollback {}` tries again. If that does not help, show the steps in the receipt to someone who looks \
             after computers.",
            error.remedy, upgrade.installation
        )
    };
    end(drive, &upgrade, Event::Stranded, Outcome::RollbackFailed, message, Some(error))
}

fn end(
    drive: &Drive<'_>,
    upgrade: &Upgrade,
    event: Event,
    outcome: Outcome,
    message: String,
    error: Option<Error>,
) -> Result<()> {
    let now = drive.clock.now();
    // A receipt that cannot be written must not keep the outcome from being recorded.
    let receipt = match receipt(drive, upgrade, outcome, error.clone()) {
        Ok(path) => Some(path.display().to_string()),
        Err(error) => {
            drive.watch.say(&format!("No receipt: {error}"));
            None
        }
    };
    crash::point("end", outcome.as_str(), Moment::MidEffect);
    let ending = Ending {
        outcome,
        message,
        error,
        receipt,
        boot_id: drive.clock.boot_id(),
        uptime: drive.clock.since_boot().as_secs_f64(),
    };
    drive.journal().end(event, &ending, now)?;
    crash::point("end", outcome.as_str(), Moment::AfterOutcome);
    Ok(())
}

fn receipt(drive: &Drive<'_>, upgrade: &Upgrade, outcome: Outcome, error: Option<Error>) -> Result<PathBuf> {
    let world = drive.world;
    let runs = drive.journal().runs()?;
    let now = drive.clock.now();
    let row = drive.journal().upgrade()?;
    let backup = backup_of(world).ok();
    let receipt = Receipt {
        format: 1,
        liftlock: env!("CARGO_PKG_VERSION").to_owned(),
        upgrade_id: upgrade.id,
        installation: upgrade.installation.clone(),
        application: world.site.profile.application.name.clone(),
        component: if world.site.profile.components.len() > 1 { upgrade.component.clone() } else { String::new() },
        from: row.from.clone(),
        to: row.to.clone(),
        outcome,
        error: error.as_ref().map(masked_error),
        backup: backup.map(|it| BackupLine {
            path: it.path.clone(),
            grade: it.grade,
            bytes: it.bytes(),
            seconds: seconds_of(&runs, "take_backup").unwrap_or(0.0) + seconds_of(&runs, "prove_backup").unwrap_or(0.0),
            made_at: it.manifest.made_at,
        }),
        stores: store_lines(world, outcome),
        announced_losses: announced_losses(world),
        away_seconds: row.away_from.map(|from| (row.away_to.unwrap_or(now) - from).as_seconds_f64().max(0.0)),
        originals: originals(world)?,
        trust: world.checked().ok().and_then(|it| it.pinned).map(|it| it.trust),
        attention: (outcome == Outcome::RollbackFailed).then(|| Attention {
            place: kept_place(world),
            original_is_whole: originals_are_whole(world),
            commands: commands_for_a_person(world, upgrade, &runs),
        }),
        steps: runs.iter().map(step_line).collect(),
        started_at: row.started_at.unwrap_or(row.created_at),
        finished_at: now,
        initiated_by: row.initiated_by.clone(),
    };
    let folder = world.home.upgrade(upgrade.id);
    crate::state::home::make_private_dir(&folder)?;
    Ok(receipt.write(&folder, &chrono::Local)?.0)
}

fn step_line(run: &StepRun) -> StepLine {
    let undone = run.direction == Direction::Back;
    StepLine {
        phase: if undone { State::RollingBack.as_str().to_owned() } else { run.phase.clone() },
        step: run.key.step.clone(),
        component: run.key.component.clone(),
        store: run.key.store.clone(),
        started_at: run.started_at,
        seconds: run.finished_at.map(|end| (end - run.started_at).as_seconds_f64()),
        outcome: match run.outcome {
            Some(RunOutcome::Done) if undone => "undone".to_owned(),
            Some(outcome) => outcome.as_str().to_owned(),
            None => "interrupted".to_owned(),
        },
    }
}

fn seconds_of(runs: &[StepRun], step: &str) -> Option<f64> {
    let run = runs.iter().rfind(|it| it.key.step == step && it.direction == Direction::Forward)?;
    Some((run.finished_at? - run.started_at).as_seconds_f64())
}

fn store_lines(world: &World<'_>, outcome: Outcome) -> Vec<StoreLine> {
    let counts = |value: Option<Value>, field: &str| -> Option<Counts> {
        serde_json::from_value(value?.get(field)?.clone()).ok()
    };
    world
        .site
        .profile
        .stores
        .iter()
        .map(|store| StoreLine {
            name: store.name().to_owned(),
            kind: match store {
                Store::Postgres(_) => StoreKind::Postgres,
                Store::Sqlite(_) => StoreKind::Sqlite,
                Store::Files(_) => StoreKind::Files,
            },
            before: world
                .answer(&SetAside::key_of(store.name()))
                .and_then(|it| parse::<AsideAnswer>(&it).ok())
                .map(|it| it.counts)
                .or_else(|| counts(world.answer(&MoveDatabase.key()).map(|it| it["counts"].clone()), store.name())),
            after: counts(world.answer(&Compare::key_of(store.name())), "after")
                .filter(|_| outcome == Outcome::Success),
        })
        .collect()
}

/// Rows that were fewer before the new version started: more than were accepted would have brought the old one back.
fn announced_losses(world: &World<'_>) -> u64 {
    if world.options.accepted_losses.is_empty() {
        return 0;
    }
    let lost = store_lines(world, Outcome::Success).into_iter().flat_map(|line| match (line.before, line.after) {
        (Some(before), Some(after)) => losses(&line.name, &before, &after),
        _ => Vec::new(),
    });
    lost.map(|it| it.before - it.after.unwrap_or(0)).fold(0, u64::saturating_add)
}

fn originals(world: &World<'_>) -> Result<Vec<OriginalLine>> {
    let journal = world.journal();
    let days = journal.db().setting("keep_originals_days")?.parse().unwrap_or(7);
    let volume = world.options.move_for.as_ref().and_then(|_| planned(world).ok());
    let volume = volume.map(|it| OriginalLine { name: format!("volume {}", it.old_volume), bytes: None, until: None });
    Ok(journal
        .db()
        .originals(Some(&world.site.installation.name))?
        .into_iter()
        .filter(|it| it.upgrade_id == world.id)
        .map(|it| OriginalLine {
            name: it.place,
            bytes: it.bytes,
            // The first day on which it may go, if the application is well every day until then.
            until: Some(it.kept_since + chrono::TimeDelta::days(days)),
        })
        .chain(volume)
        .collect())
}

fn kept_place(world: &World<'_>) -> String {
    let places: Vec<_> = world
        .site
        .stores
        .iter()
        .filter_map(|it| {
            let aside = aside_of(world, it.name()).ok()?.aside;
            let is_beside = matches!(it.observe(&aside), Ok(AsideState::Swapped | AsideState::Swapping));
            is_beside.then(|| it.kept_places(&aside).0)
        })
        .collect();
    if places.is_empty() { "its usual place".to_owned() } else { places.join(", ") }
}

/// Only what was looked at is claimed.
fn originals_are_whole(world: &World<'_>) -> bool {
    world.site.stores.iter().all(|store| {
        let Ok(intent) = aside_of(world, store.name()) else { return false };
        // One that was changed in place is no original any more.
        let untouched = intent.way != Way::InPlace || was_begun(world).is_ok_and(|it| !it);
        untouched && store.observe(&intent.aside).is_ok_and(|it| !matches!(it, AsideState::Unknown(_)))
    })
}

/// What a person can type, in order, first the safest.
fn commands_for_a_person(world: &World<'_>, upgrade: &Upgrade, runs: &[StepRun]) -> Vec<String> {
    let (name, id) = (&upgrade.installation, upgrade.id);
    let look = [format!("liftlock check {name}"), format!("liftlock settle {id}")];
    let backup = backup_of(world).ok().filter(|it| it.grade == Grade::Proven && it.failed.is_none());
    let restore =
        backup.map(|it| format!("liftlock backup restore {name} {} --accept-loss-of-new-work", it.path.display()));
    let commands: Vec<String> = if users_may_be_in(&world.site.profile, runs) {
        look.into_iter().chain([format!("liftlock rollback {name} --accept-loss-of-new-work")]).collect()
    } else {
        [format!("liftlock rollback {name}")].into_iter().chain(look).collect()
    };
    // Last, because it takes the data back to before the update.
    commands.into_iter().chain(restore).collect()
}
