//! The worker: takes the lease, ends what a killed one left behind, and drives the upgrade to its end.
//!
//! Everything that it needs is on disk, so any process of this user may do it at any time; whoever loses the
//! race for the lease is told who has it and exits.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::error::{Error, Kind, Result};
use crate::history;
use crate::model::ids::UpgradeId;
use crate::model::state::{Event, State};
use crate::ports::{Clock, Reporter, Runner};
use crate::process::{Identity, OrphanLock, Silent, SystemRunner};
use crate::site::{Site, secrets_of};
use crate::state::Db;
use crate::state::home::Home;
use crate::state::installations::Installation;
use crate::state::journal::{Direction, Ending, Journal, RunOutcome};
use crate::state::lease::{Holder, Lease, UPGRADE};
use crate::state::upgrades::{Outcome, Upgrade};
use crate::steps::{Live, World};
use crate::stores::ServerLease;
use crate::stores::postgres::answer::is_cut;
use crate::upgrade::drive::{Drive, RESTARTS};
use crate::upgrade::finish;
use crate::upgrade::plan::steps_of;
use crate::upgrade::watch::Watch;

/// How long orphans of a killed worker may take to end.
const ORPHANS_WITHIN: Duration = Duration::from_secs(60);
/// How long a database server may take to come up after a restart of the computer.
const STORES_WITHIN: Duration = Duration::from_secs(120);
/// After so many seconds nobody expects last week's click to take the application away.
const RESUME_WITHIN: f64 = 15.0 * 60.0;

/// Works on an upgrade until it has ended.
///
/// # Errors
/// `busy` where another worker has it, `lease_lost` where another took it over, and those of the state itself.
pub fn work(home: &Home, clock: &Arc<dyn Clock>, id: UpgradeId) -> Result<State> {
    let _schema = home.lock_schema_shared()?;
    let mut db = Db::open(home)?;
    let upgrade = db.upgrade(id)?;
    if upgrade.state.is_final() {
        // The one who ended it may have been killed before its line was written and its passfiles were gone.
        if Lease::holder(home, &upgrade.installation)?.is_none() {
            remove_secrets(&secrets_of(home, &label_of(id, upgrade.epoch)))?;
        }
        write_history(home)?;
        return Ok(upgrade.state);
    }
    let installation = db.installation(&upgrade.installation)?;
    let holder = this_process(clock.as_ref(), UPGRADE)?;
    let mut lease = Lease::take_in_home(&mut db, home, &upgrade.installation, &holder)?;
    // Another worker may have ended it between the look and the lease.
    let upgrade = db.upgrade(id)?;
    if upgrade.state.is_final() {
        return Ok(upgrade.state);
    }
    let (orphans, ended) = OrphanLock::take(&home.orphan_lock_file(&upgrade.installation), id, ORPHANS_WITHIN)?;
    crate::state::home::make_private_dir(&home.upgrade(id))?;
    check_once_a_boot(&mut db, clock.as_ref())?;
    let journal = Mutex::new(Journal::take_up(db, id, lease.epoch, &holder, clock.now())?);
    let watch = Watch::new(&journal, clock.as_ref());
    // The deadline on record is that of the worker before: by that one a watchdog would end this one too.
    watch.get_ready(upgrade.state, &upgrade.message)?;
    for orphan in ended {
        watch.say(&format!("ended process {} that an earlier worker had left behind", orphan.pid));
    }
    let runner = Arc::new(SystemRunner::new().acting(Arc::new(orphans)));
    let label = label_of(id, lease.epoch);
    let secrets = secrets_of(home, &label);
    remove_secrets(&secrets)?;
    // Another user of this machine has a home, and a record, of their own: losing to them is an end that is told.
    let prepared = lease
        .also_in(&installation.folder, &holder)
        .and_then(|()| prepare(installation, &upgrade, home, runner, clock, &label, &watch));
    let state = match prepared {
        Ok((site, servers)) => walk(home, clock, &upgrade, &site, servers, &journal, &watch),
        Err(error) => end_unprepared(&journal, clock.as_ref(), &upgrade, error),
    };
    remove_secrets(&secrets)?;
    let state = state?;
    write_history(home)?;
    Ok(state)
}

/// What our sessions in a database are called.
fn label_of(id: UpgradeId, epoch: i64) -> String {
    format!("liftlock/{id}/{epoch}")
}

/// Looks everything up that the steps need, and takes the leases that other hosts see.
fn prepare(
    installation: Installation,
    upgrade: &Upgrade,
    home: &Home,
    runner: Arc<dyn Runner>,
    clock: &Arc<dyn Clock>,
    label: &str,
    reporter: &dyn Reporter,
) -> Result<(Site, Vec<Box<dyn ServerLease>>)> {
    let site = Site::open(installation, home, runner, Arc::clone(clock), label)?;
    let site = if upgrade.options.restore.is_some() { site.for_restore(label)? } else { site };
    site.sweep_scratch(reporter)?;
    let servers = match site.hold_server_leases() {
        Ok(servers) => servers,
        // A database that is down is for checking to find and to say; the way back must not wait for it either.
        Err(error) if error.kind != Kind::Busy => {
            reporter.say(&format!("No lease on the database server: {error}"));
            Vec::new()
        }
        Err(error) => return Err(error),
    };
    Ok((site, servers))
}

fn walk(
    home: &Home,
    clock: &Arc<dyn Clock>,
    upgrade: &Upgrade,
    site: &Site,
    mut servers: Vec<Box<dyn ServerLease>>,
    journal: &Mutex<Journal>,
    watch: &Watch<'_>,
) -> Result<State> {
    if !upgrade.state.is_before_change() {
        wait_for_stores(site, clock.as_ref(), watch)?;
        // The server may only now be there to be asked.
        if servers.is_empty() {
            servers = match site.hold_server_leases() {
                Err(error) if error.kind == Kind::Busy => return Err(error),
                held => held.unwrap_or_default(),
            };
        }
    }
    let steps = steps_of(site, &upgrade.options);
    let runs = crate::state::journal::runs_of(&Db::open(home)?, upgrade.id)?;
    let answers: BTreeMap<_, _> = runs
        .iter()
        .filter(|it| it.direction == Direction::Forward && it.outcome.is_some_and(RunOutcome::is_there))
        .map(|it| (it.key.to_string(), it.answer.clone()))
        .collect();
    let world = World {
        id: upgrade.id,
        options: &upgrade.options,
        wanted: upgrade.options.goal.clone().or_else(|| (upgrade.to != "latest").then(|| upgrade.to.clone())),
        site,
        home,
        scratch: site.scratch.clone(),
        clock: clock.as_ref(),
        reporter: watch,
        journal,
        answers: Mutex::new(answers),
        live: Mutex::new(Live::default()),
        servers: Mutex::new(servers),
    };
    let drive = Drive { journal, watch, clock: clock.as_ref(), world: &world, steps: &steps };
    if let Some(error) = too_late(upgrade, clock.as_ref()) {
        finish::failed(&drive, error, false)?;
    }
    let state = drive.to_the_end();
    world.lower_page();
    world.live().restored.clear();
    // What is left of a scratch server is swept by the next worker; it changes nothing about how this one ended.
    if let Err(error) = site.sweep_scratch(watch) {
        watch.say(&format!("A temporary server was left behind: {error}"));
    }
    state
}

/// After a restart of the computer a database server may need a while. What is begun goes on when it is there; when
/// it does not come, the steps say what is wrong.
fn wait_for_stores(site: &Site, clock: &dyn Clock, reporter: &dyn Reporter) -> Result<()> {
    let until = clock.since_boot() + STORES_WITHIN;
    for store in &site.stores {
        while let Err(error) = store.size(reporter) {
            reporter.check()?;
            if clock.since_boot() > until || !is_cut(&error) {
                reporter.say(&format!("{}: {error}", store.name()));
                break;
            }
            std::thread::sleep(Duration::from_millis(500));
        }
    }
    Ok(())
}

/// Without the profile or the settings nothing can be done: an upgrade that has changed nothing ends here, any other
/// waits for a worker that finds them, for as often as a worker may take it up.
fn end_unprepared(journal: &Mutex<Journal>, clock: &dyn Clock, upgrade: &Upgrade, error: Error) -> Result<State> {
    let mut journal = journal.lock().unwrap_or_else(PoisonError::into_inner);
    let before = upgrade.state.is_before_change();
    if error.kind == Kind::LeaseLost || (!before && upgrade.restarts < RESTARTS) {
        return Err(error);
    }
    let ending = |outcome, message: String, error| Ending {
        outcome,
        message,
        error: Some(error),
        receipt: None,
        boot_id: clock.boot_id(),
        uptime: clock.since_boot().as_secs_f64(),
    };
    if before {
        let outcome = if error.kind == Kind::Failed { Outcome::Failed } else { Outcome::Refused };
        let message = format!("Nothing was changed. The update to {} did not begin.", upgrade.to);
        return journal.end(Event::Broke, &ending(outcome, message, error), clock.now());
    }
    if upgrade.state != State::RollingBack {
        journal.leave(&error)?;
    }
    let error = error.as_kind(Kind::NeedsAttention);
    let message = "Liftlock could not bring the old version back.".to_owned();
    journal.end(Event::Stranded, &ending(Outcome::RollbackFailed, message, error), clock.now())
}

/// The record of this process for messages.
///
/// # Errors
/// Only where the system does not tell about this very process.
pub(crate) fn this_process(clock: &dyn Clock, doing: &str) -> Result<Holder> {
    let identity = Identity::of_self()?;
    let user = ["USER", "LOGNAME", "USERNAME"].iter().find_map(|it| std::env::var(it).ok()).filter(|it| !it.is_empty());
    Ok(Holder {
        pid: identity.pid,
        started_ticks: identity.start_ticks,
        started_at: clock.now(),
        boot_id: identity.boot_id,
        host: sysinfo::System::host_name().unwrap_or("this computer".to_owned()),
        user: user.unwrap_or_else(user_number),
        doing: doing.to_owned(),
    })
}

/// Who this is where no variable tells a name, as for services.
#[cfg(unix)]
fn user_number() -> String {
    format!("user {}", rustix::process::getuid().as_raw())
}

#[cfg(not(unix))]
fn user_number() -> String {
    "unknown".to_owned()
}

/// Adds to the history file whatever outcome it does not have yet.
///
/// # Errors
/// As the history's own.
pub(crate) fn write_history(home: &Home) -> Result<()> {
    let db = Db::open(home)?;
    let (count, last) = db.last_outcome()?;
    // The end of the file tells, so that years of upgrades are not read at every start.
    if history::is_complete(&home.history(), count, last.as_ref().map(|(id, result)| (id.as_str(), result.as_str()))) {
        return Ok(());
    }
    let records: Vec<_> = db
        .history_records()?
        .into_iter()
        .filter_map(|(_, record)| match record {
            serde_json::Value::Object(map) => Some(map),
            _ => None,
        })
        .collect();
    history::append_missing(&home.history(), &records).map(|_| ())
}

/// An upgrade whose worker ended long ago, before it changed anything, is not taken up as if nothing had been.
fn too_late(upgrade: &Upgrade, clock: &dyn Clock) -> Option<Error> {
    if !upgrade.state.is_before_change() {
        return None;
    }
    let here = upgrade.alive_boot.as_deref().map(|it| crate::clock::same_boot(it, &clock.boot_id()));
    let idle = match (here, upgrade.alive_uptime) {
        (Some(true), Some(alive)) => clock.since_boot().as_secs_f64() - alive,
        // Another boot: the wall clock is all there is, and a shop that stays open is the safer mistake.
        _ => (clock.now() - upgrade.started_at.unwrap_or(upgrade.created_at)).as_seconds_f64(),
    };
    (idle.abs() > RESUME_WITHIN).then(|| {
        Error::failed(
            "interrupted_too_long",
            "The update was interrupted before anything was changed, and nobody went on with it for a while.",
        )
        .remedy("Start it again when it suits you.")
    })
}

/// Passfiles go with the upgrade that needed them, also those of a worker that was killed.
fn remove_secrets(folder: &std::path::Path) -> Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => Err(Error::io("remove", folder, &cause)),
        _ => Ok(()),
    }
}

/// A damaged state file must be known before anything relies on it; looking takes a while, so once a boot.
fn check_once_a_boot(db: &mut Db, clock: &dyn Clock) -> Result<()> {
    let boot = clock.boot_id();
    if db.note("checked_in_boot")?.as_deref() == Some(boot.as_str()) {
        return Ok(());
    }
    db.quick_check()?;
    db.set_note("checked_in_boot", &boot)
}

/// The folder of a worker's own program copy.
pub(crate) fn private_copy(home: &Home, program: &std::path::Path) -> Result<PathBuf> {
    let mut file = std::fs::File::open(program).map_err(|cause| Error::io("read", program, &cause))?;
    let (digest, _) = crate::digest::sha256_of(&mut file, program, None, &Silent)?;
    let folder = home.workers().join(&digest);
    let copy = folder.join(program.file_name().unwrap_or_else(|| std::ffi::OsStr::new("liftlock")));
    if copy.exists() {
        return Ok(copy);
    }
    crate::state::home::make_private_dir(&folder)?;
    let part = folder.join(format!(".part-{}", std::process::id()));
    std::fs::copy(program, &part).map_err(|cause| Error::io("copy the worker to", &part, &cause))?;
    std::fs::rename(&part, &copy).map_err(|cause| Error::io("put in place", &copy, &cause))?;
    Ok(copy)
}
