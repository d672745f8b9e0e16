//! The dress rehearsal: the release's migrations on a copy of the user's data, while the application is in use.
//!
//! First the guard: the read-only `schema_version` command, pointed at an *empty* store, must say that it is
//! empty. One that does not follow would migrate the live data, so there is no rehearsal and no upgrade either.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{Error, Result};
use crate::model::profile::{CommandLine, Migrations, Store};
use crate::model::state::State;
use crate::ports::{Finished, SignOfWork};
use crate::state::journal::StepKey;
use crate::steps::backup::backup_of;
use crate::steps::commands::{Pointed, did_not_work, run};
use crate::steps::longer::ask_if_longer;
use crate::steps::migrate::{Loss, is_accepted, losses, rows_lost};
use crate::steps::schema;
use crate::steps::{Observed, Step, World, key, record};
use crate::stores::{DataStore, Place, Sandbox};

/// Rehearses the migrations.
#[derive(Debug, Clone)]
pub struct Rehearse {
    /// The stores.
    pub stores: Vec<Arc<dyn DataStore>>,
}

/// What a rehearsal measured.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Rehearsed {
    /// Whether there was one.
    pub done: bool,
    /// Why there was none.
    pub why_not: Option<String>,
    /// Seconds that the commands took on the copy.
    pub seconds: f64,
    /// Losses that were accepted beforehand.
    pub losses: Vec<Loss>,
    /// Where the release needs the data to be, and where it was afterwards; none where nothing tells.
    #[serde(default)]
    pub schema: Option<String>,
}

impl Rehearse {
    pub(crate) fn key_of() -> StepKey {
        key("rehearse")
    }
}

struct Stage<'s> {
    store: &'s Store,
    sandbox: Box<dyn Sandbox>,
}

impl Step for Rehearse {
    fn phase(&self) -> State {
        State::Rehearsing
    }
    fn key(&self) -> StepKey {
        Self::key_of()
    }
    fn does(&self) -> String {
        "Try the migrations on a copy of the data, in a private place without a way out.".to_owned()
    }
    fn weight(&self) -> f64 {
        20.0
    }
    fn deadline(&self, world: &World<'_>) -> Duration {
        let limits = &world.site.profile.limits;
        limits.migrate_within + limits.backup_within
    }
    fn observe(&self, _world: &World<'_>, _intent: &Value) -> Result<Observed> {
        // It works on a throw-away copy only.
        Ok(Observed::NotStarted)
    }

    fn act(&self, world: &World<'_>, _intent: &Value) -> Result<Value> {
        let checked = world.checked()?;
        let Some(migrations) = world.site.profile.migrations.as_ref().filter(|_| checked.rehearsal.is_none()) else {
            let why_not = checked.rehearsal.clone().or(Some("this application has no migrations".to_owned()));
            return record(&Rehearsed { done: false, why_not, seconds: 0.0, losses: Vec::new(), schema: None });
        };
        let backup = backup_of(world)?;
        let mut stages = Vec::new();
        for store in &self.stores {
            let Some(declared) = world.site.profile.store(store.name()).filter(|it| !it.point_at().is_empty()) else {
                continue;
            };
            // Proving has just restored it; a worker that came later restores it anew.
            let sandbox = match world.live().take_restored(store.name()) {
                Some(sandbox) => sandbox,
                None => store.sandbox(backup.dumped(store.name())?, &backup.path, &world.scratch, world.reporter)?,
            };
            stages.push(Stage { store: declared, sandbox });
        }
        world.halfway("forward", &self.key());
        let release = world.site.release_folder(&checked.to)?;
        guard(world, migrations, &stages, &release, &checked.to)?;
        let before = count(world, &stages)?;
        let begun = world.clock.since_boot();
        let at = stages.iter().map(|it| (it.store, it.sandbox.place())).collect();
        let network = network_of(&stages);
        let pointed = Pointed { release: &release, version: &checked.to, at, env: rehearsal_mark(), network };
        for (name, line) in lines(migrations) {
            let signs: Vec<Box<dyn SignOfWork>> = stages.iter().filter_map(|it| it.sandbox.sign_of_work()).collect();
            let signs: Vec<&dyn SignOfWork> = signs.iter().map(AsRef::as_ref).collect();
            let finished = run(world, line, &pointed, world.site.profile.limits.migrate_within, &signs)?;
            if !finished.succeeded() {
                return Err(did_not_work(
                    "rehearsal_failed",
                    &format!("The {name} command of the release, on a copy of your data,"),
                    &finished,
                ));
            }
        }
        let seconds = (world.clock.since_boot() - begun).as_secs_f64();
        let schema = schema::expect(world, migrations, &pointed, None)?;
        let after = count(world, &stages)?;
        let lost: Vec<Loss> = before.iter().flat_map(|(store, before)| losses(store, before, &after[store])).collect();
        let refused: Vec<Loss> =
            lost.iter().filter(|it| !is_accepted(&world.options.accepted_losses, it)).cloned().collect();
        if !refused.is_empty() {
            return Err(rows_lost(&refused, "seen in the rehearsal"));
        }
        world.reporter.say(&format!("Rehearsal passed: the migrations took {seconds:.1} s on a copy of your data."));
        ask_if_longer(world, seconds)?;
        record(&Rehearsed { done: true, why_not: None, seconds, losses: lost, schema })
    }
}

/// The stores that are going to be rehearsed on.
pub(crate) fn stores_of(world: &World<'_>) -> Result<Vec<String>> {
    let profile = &world.site.profile;
    if profile.migrations.is_none() || world.checked()?.rehearsal.is_some() {
        return Ok(Vec::new());
    }
    Ok(profile.stores.iter().filter(|it| !it.point_at().is_empty()).map(|it| it.name().to_owned()).collect())
}

fn lines(migrations: &Migrations) -> impl Iterator<Item = (&'static str, &CommandLine)> {
    [
        ("pre_upgrade", &migrations.pre_upgrade),
        ("migrate", &migrations.migrate),
        ("post_upgrade", &migrations.post_upgrade),
    ]
    .into_iter()
    .filter_map(|(name, line)| Some((name, line.as_ref()?)))
}

/// Tells a command that it is a rehearsal, for those that would send mail or call other services.
fn rehearsal_mark() -> Vec<(String, String)> {
    vec![("LIFTLOCK_REHEARSAL".to_owned(), "1".to_owned())]
}

/// The network in which the copies are, where they are in one of their own.
fn network_of<'s>(stages: &'s [Stage<'_>]) -> Option<&'s str> {
    stages.iter().find_map(|it| it.sandbox.network())
}

fn count(world: &World<'_>, stages: &[Stage<'_>]) -> Result<BTreeMap<String, crate::stores::Counts>> {
    stages.iter().map(|it| Ok((it.store.name().to_owned(), it.sandbox.counts(world.reporter)?))).collect()
}

/// See the module: nothing that may write is run before this has passed.
fn guard(
    world: &World<'_>,
    migrations: &Migrations,
    stages: &[Stage<'_>],
    release: &std::path::Path,
    version: &str,
) -> Result<()> {
    let Some(question) = &migrations.schema_version else {
        return Err(Error::refused(
            "no_guard",
            "The profile has no schema_version command, so a rehearsal is not safe.",
        )
        .remedy("Add [migrations] schema_version to the profile."));
    };
    let mut at: Vec<(&Store, Place)> = Vec::new();
    for stage in stages {
        if let Some(place) = stage.sandbox.empty_place()? {
            at.push((stage.store, place));
        }
    }
    let pointed = Pointed { release, version, at, env: rehearsal_mark(), network: network_of(stages) };
    let question_line = question.command_line();
    // What is run elsewhere has other variables, and one of these may win over what it is pointed by.
    let mut asked = vec![question_line.clone()];
    for (_, CommandLine { service, env_file, .. }) in lines(migrations) {
        if asked.iter().all(|it| (&it.service, &it.env_file) != (service, env_file)) {
            asked.push(CommandLine { service: service.clone(), env_file: env_file.clone(), ..question_line.clone() });
        }
    }
    for line in &asked {
        let finished = run(world, line, &pointed, Duration::from_secs(120), &[])?;
        if *line != question_line && is_not_there(&finished) {
            // An image of its own for migrations need not have it.
            world.reporter.say(&format!(
                "Whether “{}” follows could not be asked there.",
                line.service.as_deref().unwrap_or_default()
            ));
            continue;
        }
        if !finished.succeeded() {
            return Err(did_not_work(
                "guard_failed",
                "The schema_version command, pointed at an empty database,",
                &finished,
            )
            .as_kind(crate::error::Kind::Refused));
        }
        if finished.stdout.trim() != question.empty {
            return Err(does_not_follow(finished.stdout.trim(), &question.empty));
        }
    }
    Ok(())
}

/// Whether a container has no such program.
fn is_not_there(finished: &Finished) -> bool {
    matches!(finished.code, Some(126 | 127))
}

fn does_not_follow(said: &str, empty: &str) -> Error {
    Error::refused(
        "guard_not_empty",
        "The release's commands do not follow when they are pointed at another database, so the rehearsal would have changed your live data. It was not run.",
    )
    .remedy("Look whether the database is hard-coded or a settings file wins over the environment; correct point_at in the profile.")
    .detail(format!("schema_version said “{}” instead of “{empty}”", said.escape_debug()))
}
