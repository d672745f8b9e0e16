//! Stopping and starting: users are kept out until the new version has been looked at from outside.
//!
//! The new version is started on a private port behind the maintenance page. Only when every probe is up and
//! it says that it is the version wanted does it get the public port.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use serde_json::{Value, json};

use crate::drivers::{Gate, port};
use crate::error::{Error, Result};
use crate::model::state::State;
use crate::probes::Budget;
use crate::site::is_release_from;
use crate::state::journal::{Direction, StepKey, StepRun, runs_of};
use crate::steps::let_in::moments;
use crate::steps::{Observed, Step, World, component_key, key};

/// Holds autostart, so that a reboot opens nothing half-done.
#[derive(Debug)]
pub struct HoldAutostart;

impl Step for HoldAutostart {
    fn phase(&self) -> State {
        State::Applying
    }
    fn key(&self) -> StepKey {
        key("hold_autostart")
    }
    fn does(&self) -> String {
        "See to it that nothing starts by itself meanwhile, not even after a restart of the computer.".to_owned()
    }
    fn deadline(&self, world: &World<'_>) -> Duration {
        starting_and_stopping(world)
    }
    fn intent(&self, world: &World<'_>) -> Result<Value> {
        world.site.autostart(world.reporter)
    }
    fn act(&self, world: &World<'_>, intent: &Value) -> Result<Value> {
        world.site.hold_autostart(intent, world.reporter)?;
        world.halfway("forward", &self.key());
        Ok(json!({ "held": true }))
    }
    fn undo(&self, world: &World<'_>, intent: &Value) -> Result<()> {
        let was_down = world.checked()?.was_down;
        // After a restart of the computer nothing runs, whatever an earlier worker had started.
        match run_publicly(world) {
            Err(error) if was_down => world.reporter.say(&format!("It was not well before either: {error}")),
            started => started.map(|_| ())?,
        }
        world.site.restore_autostart(intent, world.reporter)?;
        world.halfway("back", &self.key());
        if was_down {
            // It is as it was found; more was never there to come back to.
            return world.journal().set_away(None, Some(world.clock.now()));
        }
        // The last step back: here the old version must be running again, with everybody let in.
        let budget = at_once(world.site.profile.limits.start_within);
        world.site.wait_until_healthy(Gate::Public, budget, world.reporter)?;
        let version = world.site.ask_version(Gate::Public, world.reporter)?;
        let from = world.checked()?.from;
        if version.to_string() != from {
            return Err(Error::failed("wrong_version", format!("{version} answers instead of {from}."))
                .remedy("Look which release the installation's “current” link points to."));
        }
        let now = world.clock.now();
        let mut journal = world.journal();
        journal.set_away(None, Some(now))?;
        journal.db_mut().observe_version(&world.site.installation.name, &from, now)
    }
}

/// Stops a component.
#[derive(Debug, Clone)]
pub struct Stop {
    /// The component.
    pub component: String,
    /// Whether there is a page in its place.
    pub has_page: bool,
}

impl Step for Stop {
    fn phase(&self) -> State {
        State::Applying
    }
    fn key(&self) -> StepKey {
        component_key("stop", &self.component)
    }
    fn does(&self) -> String {
        let visitors =
            if self.has_page { "visitors see a page that says so" } else { "visitors see an error meanwhile" };
        format!("Stop {}; {visitors}.", self.component)
    }
    fn deadline(&self, world: &World<'_>) -> Duration {
        starting_and_stopping(world)
    }
    fn observe(&self, world: &World<'_>, _intent: &Value) -> Result<Observed> {
        if world.site.driver.is_running(&self.component, world.reporter)? {
            return Ok(Observed::NotStarted);
        }
        world.raise_page_of(&self.component);
        Ok(Observed::Done(json!({ "stopped": true })))
    }
    fn act(&self, world: &World<'_>, _intent: &Value) -> Result<Value> {
        world.find_ports();
        world.journal().set_away(Some(world.clock.now()), None)?;
        world.site.stop(&self.component, world.reporter)?;
        world.raise_page_of(&self.component);
        world.halfway("forward", &self.key());
        Ok(json!({ "stopped": true }))
    }
    fn undo(&self, world: &World<'_>, _intent: &Value) -> Result<()> {
        world.lower_page();
        world.halfway("back", &self.key());
        // Starting again what already runs would be a second one on the same port.
        if runs_freely(world, &self.component)? {
            return Ok(());
        }
        world.site.start(&self.component, Gate::Public, world.reporter)
    }
}

/// Starts the new version on a private port.
#[derive(Debug)]
pub struct StartBehindGate {
    /// Whether it can be: without a gate users may come in from here on.
    pub has_gate: bool,
}

impl StartBehindGate {
    pub(crate) fn key_of() -> StepKey {
        key("start_behind_gate")
    }
}

impl Step for StartBehindGate {
    fn phase(&self) -> State {
        State::Restarting
    }
    fn key(&self) -> StepKey {
        Self::key_of()
    }
    fn does(&self) -> String {
        if self.has_gate {
            "Start the new version where no user can reach it yet.".to_owned()
        } else {
            "Start the new version; users may come in from here on.".to_owned()
        }
    }
    fn deadline(&self, world: &World<'_>) -> Duration {
        starting_and_stopping(world)
    }
    fn weight(&self) -> f64 {
        3.0
    }
    fn intent(&self, world: &World<'_>) -> Result<Value> {
        let port = if world.site.profile.gate.is_some() {
            Some(port::any_free(IpAddr::V4(Ipv4Addr::LOCALHOST))?)
        } else {
            None
        };
        // Without a gate users may come in from here on.
        let moments = if port.is_none() { moments(world)? } else { Value::Null };
        Ok(json!({ "port": port, "moments": moments }))
    }
    fn act(&self, world: &World<'_>, intent: &Value) -> Result<Value> {
        let gate = gate_of(intent);
        if gate == Gate::Public {
            world.lower_page();
        }
        // A part of a killed worker may be running: it is stopped, because its port is not known to be right. What is
        // rolled out by somebody else goes on, and is taken up as it stands.
        if gate != Gate::Public || !world.site.driver.rolls_out_by_itself() {
            stop_all(world)?;
        }
        let mut gate = free(gate)?;
        let start =
            |gate| world.site.driver.components().iter().try_for_each(|it| world.site.start(it, gate, world.reporter));
        match start(gate) {
            // Somebody was quicker, who need not be asked: any port does.
            Err(error) if error.class == "port_taken" && gate != Gate::Public => {
                stop_all(world)?;
                gate = Gate::Private(port::any_free(IpAddr::V4(Ipv4Addr::LOCALHOST))?);
                start(gate)?;
            }
            started => started?,
        }
        world.halfway("forward", &self.key());
        Ok(json!({ "port": gate.private_port(), "moments": intent["moments"] }))
    }
    fn undo(&self, world: &World<'_>, _intent: &Value) -> Result<()> {
        world.halfway("back", &self.key());
        stop_all(world)?;
        world.raise_page();
        Ok(())
    }
}

/// Starts whatever does not run, with the public port. Answers whether anything had to be started.
fn run_publicly(world: &World<'_>) -> Result<bool> {
    let mut started = false;
    let stopped = world.site.stopped();
    for component in world.site.driver.components() {
        let runs = runs_freely(world, &component)?;
        if !runs {
            world.lower_page();
        }
        // What is never stopped may run in another version than the one in place.
        if !runs || !stopped.contains(&component) {
            world.site.start(&component, Gate::Public, world.reporter)?;
        }
        started |= !runs;
    }
    Ok(started)
}

/// What is held will not run on, whatever of it has not ended yet.
fn runs_freely(world: &World<'_>, component: &str) -> Result<bool> {
    let driver = &world.site.driver;
    Ok(driver.is_running(component, world.reporter)? && !driver.is_held(component)?)
}

/// Whatever does not run is started, and answers as well as it did.
pub(crate) fn stand_again(world: &World<'_>) -> Result<()> {
    run_publicly(world)?;
    world.site.wait_until_healthy(Gate::Public, at_once(world.site.profile.limits.start_within), world.reporter)
}

/// Looked at closely before; now the first good answer is what people wait for.
fn at_once(within: Duration) -> Budget {
    Budget { within, times: 1, pause: Duration::from_millis(25) }
}

/// The same gate, or one at another port where somebody has taken the first meanwhile.
fn free(gate: Gate) -> Result<Gate> {
    let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
    match gate.private_port().map(|it| port::is_free(here, it)) {
        Some(Err(error)) if error.class == "port_taken" => port::any_free(here).map(Gate::Private),
        Some(Err(error)) => Err(error),
        Some(Ok(())) | None => Ok(gate),
    }
}

fn gate_of(intent: &Value) -> Gate {
    intent["port"].as_u64().and_then(|it| u16::try_from(it).ok()).map_or(Gate::Public, Gate::Private)
}

/// Looks at the new version from outside.
#[derive(Debug)]
pub struct Verify;

impl Step for Verify {
    fn phase(&self) -> State {
        State::Verifying
    }
    fn key(&self) -> StepKey {
        key("verify")
    }
    fn does(&self) -> String {
        "Look from outside whether the new version is well and is the one that was wanted.".to_owned()
    }
    fn weight(&self) -> f64 {
        4.0
    }
    fn deadline(&self, world: &World<'_>) -> Duration {
        world.site.profile.limits.start_within + Duration::from_secs(60)
    }
    fn observe(&self, _world: &World<'_>, _intent: &Value) -> Result<Observed> {
        Ok(Observed::NotStarted)
    }
    fn act(&self, world: &World<'_>, _intent: &Value) -> Result<Value> {
        let started = world.answer(&StartBehindGate::key_of()).unwrap_or_default();
        let gate = gate_of(&started);
        // After a restart of the computer nothing runs behind the gate any more. What runs there is left alone.
        let gated = world.site.profile.gate.as_ref().map(|it| it.component.as_str());
        let gate = match gated {
            Some(component) if !world.site.driver.is_running(component, world.reporter)? => free(gate)?,
            _ => gate,
        };
        for component in world.site.driver.components() {
            world.site.start(&component, gate, world.reporter)?;
        }
        let budget = Budget::after_start(world.site.profile.limits.start_within);
        world.site.wait_until_healthy(gate, budget, world.reporter)?;
        world.halfway("forward", &self.key());
        is_the_target(world, gate)?;
        Ok(json!({ "healthy": true }))
    }
}

/// The version that answers and the release on disk are the ones that were wanted.
fn is_the_target(world: &World<'_>, gate: Gate) -> Result<()> {
    let checked = world.checked()?;
    let version = world.site.ask_version(gate, world.reporter)?;
    if version.to_string() != checked.to {
        return Err(Error::failed("wrong_version", format!("It answers, but as {version} instead of {}.", checked.to))
            .remedy("Report it to the makers of the application: the release says that it is another version."));
    }
    let digest = checked.pinned.as_ref().and_then(|it| it.sha256.as_deref());
    let folder = world.site.release_folder(&checked.to)?;
    if digest.is_some_and(|it| !is_release_from(&folder, it)) {
        return Err(Error::failed("wrong_digest", "The release on disk is not the one that was checked.")
            .remedy("Find out who changes files in the installation, then try again."));
    }
    world.site.driver.confirm(&checked.to)
}

/// Stops every component that is stopped for an update, those that were started last first.
fn stop_all(world: &World<'_>) -> Result<()> {
    world.site.stopped().iter().rev().try_for_each(|it| world.site.stop(it, world.reporter))
}

/// Lets users in.
#[derive(Debug)]
pub struct OpenGate {
    /// Whether there is one.
    pub has_gate: bool,
}

impl OpenGate {
    pub(crate) fn key_of() -> StepKey {
        key("open_gate")
    }
}

impl Step for OpenGate {
    fn phase(&self) -> State {
        State::Verifying
    }
    fn key(&self) -> StepKey {
        Self::key_of()
    }
    fn does(&self) -> String {
        if self.has_gate {
            "Let users in: the new version gets the public port.".to_owned()
        } else {
            "Look whether users get the new version.".to_owned()
        }
    }
    fn weight(&self) -> f64 {
        2.0
    }
    fn is_cancellable(&self) -> bool {
        false
    }
    fn is_behind_the_page(&self) -> bool {
        false
    }
    fn deadline(&self, world: &World<'_>) -> Duration {
        starting_and_stopping(world)
    }
    fn intent(&self, world: &World<'_>) -> Result<Value> {
        Ok(json!({ "moments": moments(world)? }))
    }
    fn act(&self, world: &World<'_>, _intent: &Value) -> Result<Value> {
        let driver = &world.site.driver;
        let mut runs_on = false;
        if world.site.profile.gate.is_some() {
            let can_run_on = driver.can_open()?;
            if !can_run_on {
                stop_all(world)?;
            }
            world.halfway("forward", &self.key());
            world.lower_page();
            runs_on = can_run_on && driver.open(world.reporter)?;
            if can_run_on && !runs_on {
                stop_all(world)?;
            }
            if !runs_on {
                start_all(world)?;
            }
        }
        is_back(world)?;
        if runs_on && !stays_open(world) {
            world.reporter.say("It is started once more for its users.");
            stop_all(world)?;
            start_all(world)?;
            is_back(world)?;
        }
        Ok(json!({ "open": true }))
    }
    fn undo(&self, world: &World<'_>, _intent: &Value) -> Result<()> {
        world.journal().set_away(Some(world.clock.now()), None)?;
        world.halfway("back", &self.key());
        stop_all(world)?;
        world.raise_page();
        Ok(())
    }
}

/// Starts every component for its users.
fn start_all(world: &World<'_>) -> Result<()> {
    let components = world.site.driver.components();
    components.iter().try_for_each(|it| world.site.start(it, Gate::Public, world.reporter))
}

/// Users get good answers of the version wanted.
fn is_well_for_users(world: &World<'_>) -> Result<()> {
    let budget = at_once(world.site.profile.limits.start_within);
    world.site.wait_until_healthy(Gate::Public, budget, world.reporter)?;
    is_the_target(world, Gate::Public)
}

/// Whether they go on doing so without what this worker holds for it. Why not is said.
fn stays_open(world: &World<'_>) -> bool {
    let stays = world.site.driver.stay_open(world.reporter);
    let stays = stays.and_then(|stays| if stays { is_well_for_users(world).map(|()| true) } else { Ok(false) });
    stays.inspect_err(|error| world.reporter.say(&error.to_string())).unwrap_or_default()
}

/// Users are well, and from this moment on the application is not away.
fn is_back(world: &World<'_>) -> Result<()> {
    is_well_for_users(world)?;
    let (now, to) = (world.clock.now(), world.checked()?.to);
    let mut journal = world.journal();
    journal.set_away(None, Some(now))?;
    journal.db_mut().observe_version(&world.site.installation.name, &to, now)
}

/// Lets things start by themselves again.
#[derive(Debug)]
pub struct RestoreAutostart;

impl Step for RestoreAutostart {
    fn phase(&self) -> State {
        State::Verifying
    }
    fn key(&self) -> StepKey {
        key("restore_autostart")
    }
    fn does(&self) -> String {
        "Let the application start by itself again after a restart of the computer.".to_owned()
    }
    fn deadline(&self, world: &World<'_>) -> Duration {
        starting_and_stopping(world)
    }
    fn is_cancellable(&self) -> bool {
        false
    }
    fn is_behind_the_page(&self) -> bool {
        false
    }
    fn intent(&self, world: &World<'_>) -> Result<Value> {
        let held = HoldAutostart.key();
        let found_by = |runs: &[StepRun]| {
            let run = runs.iter().rfind(|it| it.direction == Direction::Forward && it.key == held);
            run.map(|it| it.intent.clone())
        };
        let journal = world.journal();
        // Where a backup is returned to after an update that waits for a person, that one found autostart as it was.
        if world.options.restore.is_some() {
            for stranded in journal.db().stranded_upgrades(&world.site.installation.name)? {
                if let Some(found) = found_by(&runs_of(journal.db(), stranded.id)?) {
                    return Ok(found);
                }
            }
        }
        Ok(found_by(&journal.runs()?).unwrap_or_default())
    }
    fn act(&self, world: &World<'_>, intent: &Value) -> Result<Value> {
        // A restart of the computer since the gate was opened has ended what nothing may start by itself yet.
        if run_publicly(world)? {
            is_well_for_users(world)?;
        }
        let restored = world.site.restore_autostart(intent, world.reporter);
        world.halfway("forward", &self.key());
        // Users are in and all is well: this is no reason to take the application from them again.
        Ok(match restored {
            Ok(()) => json!({ "restored": true }),
            Err(error) => {
                world.reporter.say(&format!("{error} {}", error.remedy));
                json!({ "restored": false, "message": error.message, "remedy": error.remedy })
            }
        })
    }
    fn undo(&self, world: &World<'_>, intent: &Value) -> Result<()> {
        // A return that was asked for later: until it has ended nothing may start by itself either.
        world.site.hold_autostart(intent, world.reporter)
    }
}

impl RestoreAutostart {
    /// What a person should know where the application will not start by itself any more.
    pub(crate) fn warning(world: &World<'_>) -> Option<String> {
        let answer = world.answer(&Self.key())?;
        (answer["restored"] == false)
            .then(|| format!("It does not start by itself yet: {}", answer["message"].as_str().unwrap_or_default()))
    }
}

/// Each component may take its time, one after the other, and systemd at least as long as it is used to.
pub(crate) fn starting_and_stopping(world: &World<'_>) -> Duration {
    let limits = &world.site.profile.limits;
    let components = u32::try_from(world.site.driver.components().len()).unwrap_or(1);
    (limits.start_within + limits.stop_within + Duration::from_secs(120)) * components.max(1) + Duration::from_secs(600)
}
