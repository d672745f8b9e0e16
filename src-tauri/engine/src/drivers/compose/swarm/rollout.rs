//! Holding a service, rolling it out and giving it back to its owner's settings: each one act of Swarm's, and then waiting
//! for what Swarm makes of it.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::{LOOK_EVERY, Swarm, WRITTEN};
use crate::clock::SystemClock;
use crate::docker::{Rollout, SwarmService, Task, split};
use crate::drivers::{Driver, Ending};
use crate::error::{Error, Result};
use crate::ports::{Clock, Reporter};

/// No node is labelled so by Docker or by us.
pub(super) const HELD: &str = "node.labels.liftlock == held";
/// On a service that is held or was, until it is given back: how its owner has it updated.
const OWN_WAY: &str = "liftlock.own-way";
/// By which `docker stack deploy` tells whether its file names another image than the last time.
const STACK_IMAGE: &str = "com.docker.stack.image";
/// What Swarm may take beyond what a service may.
const AFTER_SWARM: Duration = Duration::from_secs(60);

/// How the owner of a service has it updated.
#[derive(Debug, Clone, PartialEq, Eq)]
struct OwnWay {
    parallelism: u64,
    back_parallelism: u64,
    order: String,
    failure_action: String,
    /// The image that it ran.
    image: String,
}

impl OwnWay {
    fn of(service: &SwarmService) -> Self {
        let update = service.update();
        Self {
            parallelism: update.parallelism,
            back_parallelism: service.rollback().parallelism,
            order: update.order,
            failure_action: update.failure_action,
            image: service.image().to_owned(),
        }
    }
}

impl fmt::Display for OwnWay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { parallelism, back_parallelism, order, failure_action, image } = self;
        write!(f, "{parallelism}/{back_parallelism}/{order}/{failure_action}/{image}")
    }
}

impl FromStr for OwnWay {
    type Err = ();

    fn from_str(text: &str) -> std::result::Result<Self, ()> {
        let fields: Vec<&str> = text.splitn(5, '/').collect();
        let [parallelism, back, order, failure, image] = fields[..] else { return Err(()) };
        let is_known =
            ["stop-first", "start-first"].contains(&order) && ["pause", "continue", "rollback"].contains(&failure);
        if !is_known {
            return Err(());
        }
        Ok(Self {
            parallelism: parallelism.parse().map_err(drop)?,
            back_parallelism: back.parse().map_err(drop)?,
            order: order.to_owned(),
            failure_action: failure.to_owned(),
            image: image.to_owned(),
        })
    }
}

impl Swarm {
    /// Takes the tasks of a component away, and keeps them away.
    pub(super) fn hold(&self, component: &str, reporter: &dyn Reporter) -> Result<Ending> {
        let name = self.name_of(component)?;
        let service = self.docker().swarm_service(&name)?;
        if !service.has_constraint(HELD) {
            // All at once, and none before another: nobody is to be left.
            let mut words = vec!["--constraint-add", HELD, "--update-order", "stop-first", "--update-parallelism", "0"];
            words.extend(["--rollback-parallelism", "0"]);
            let label = format!("{OWN_WAY}={}", OwnWay::of(&service));
            if service.label(OWN_WAY).is_none() {
                words.extend(["--label-add", &label]);
            }
            self.change(&name, &words, reporter)?;
        }
        let (clock, mut ending) = (SystemClock, Ending::WasGone);
        let until = clock.since_boot() + self.compose.limits.stop_within + AFTER_SWARM;
        loop {
            let alive = self.tasks_alive(&name)?;
            let Some(task) = alive.first() else { return Ok(ending) };
            ending = Ending::Gently;
            if clock.since_boot() >= until {
                if let Some(lost) = self.lost(&alive)? {
                    return Err(super::out_of_reach(component, &lost));
                }
                let message = format!("“{component}” could not be stopped: {} still runs on {}.", task.name, task.node);
                return Err(Error::failed("stop_failed", message).remedy(format!(
                    "Look at “docker service ps {name}” and whether that node is well, then try again."
                )));
            }
            reporter.check()?;
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Lets Swarm roll out what is to run, or takes up what it is at already, and waits for its verdict.
    pub(super) fn roll_out(&self, component: &str, reporter: &dyn Reporter) -> Result<()> {
        let version = self.compose.current_release()?.unwrap_or_default();
        let name = self.name_of(component)?;
        let image = self.image_of(self.compose.service(component)?, &version)?;
        let service = self.docker().swarm_service(&name)?;
        let (is_held, is_other) = (service.has_constraint(HELD), service.image() != image);
        let is_asked = is_held || service.label(OWN_WAY).is_some();
        // Swarm has done this since it was asked to, whoever asked.
        if let Some(stand) = way_back_of(&service).filter(|_| is_asked && is_other) {
            return Err(self.not_up(stand, component, &version, service.says(), reporter));
        }
        let is_beside = !is_held && self.beside.iter().any(|it| it == component);
        // What Swarm went back to by itself is asked for once more: its verdict was about the other one.
        let is_taken_back = is_beside && way_back_of(&service).is_some();
        let own = self.own_way(&service);
        if is_held || is_other || is_taken_back {
            self.compose.ensure(&version)?;
            let reference = split(&image).0;
            if is_beside {
                self.put_beside(&name, &service, reporter)?;
            }
            let label = format!("{STACK_IMAGE}={reference}");
            // Where the old version itself does not come up, there is nothing that Swarm could go back to.
            let action = if own.image == image { own.failure_action.as_str() } else { "rollback" };
            let mut words = vec!["--image", &image, "--label-add", &label, "--update-failure-action", action];
            if is_held {
                words.extend(["--constraint-rm", HELD]);
            }
            if !self.compose.layout.local {
                words.push("--with-registry-auth");
            }
            reporter.say(&format!("Swarm rolls out {image} for {component}."));
            self.change(&name, &words, reporter)?;
        }
        self.watch(component, &version, &image, own.image == image, reporter)
    }

    /// Has the next update of a service start before it stops. It is a change of its own, so that Swarm goes back to a service
    /// that still bears the mark of being updated.
    fn put_beside(&self, name: &str, service: &SwarmService, reporter: &dyn Reporter) -> Result<()> {
        let label = format!("{OWN_WAY}={}", self.own_way(service));
        self.change(name, &["--update-order", "start-first", "--label-add", &label], reporter)
    }

    /// Gives a service back to the settings of its owner.
    pub(super) fn give_back(&self, component: &str, reporter: &dyn Reporter) -> Result<()> {
        let name = self.name_of(component)?;
        let service = self.docker().swarm_service(&name)?;
        if service.label(OWN_WAY).is_none() {
            return Ok(());
        }
        let own = self.own_way(&service);
        let (parallelism, back) = (own.parallelism.to_string(), own.back_parallelism.to_string());
        // It is a change of its own, so that `docker service rollback` no longer leads to what was held.
        let mut words = vec!["--update-parallelism", &parallelism, "--rollback-parallelism", &back];
        words.extend(["--update-order", &own.order, "--update-failure-action", &own.failure_action]);
        words.extend(["--label-rm", OWN_WAY]);
        self.change(&name, &words, reporter)
    }

    fn own_way(&self, service: &SwarmService) -> OwnWay {
        service.label(OWN_WAY).and_then(|it| it.parse().ok()).unwrap_or_else(|| OwnWay::of(service))
    }

    fn change(&self, name: &str, words: &[&str], reporter: &dyn Reporter) -> Result<()> {
        let update = ["service", "update", "--detach", "--quiet", "--no-resolve-image"];
        let all = update.into_iter().chain(words.iter().copied()).chain([name]);
        self.docker().act(all, WRITTEN, reporter).map(drop)
    }

    /// Waits until every task that is to be runs from this image. Where Swarm is to take back what does not come up, it also
    /// waits for the end of the time for which Swarm looks at that. What ran before need not run on more nodes than there
    /// are now.
    fn watch(
        &self,
        component: &str,
        version: &str,
        image: &str,
        ran_before: bool,
        reporter: &dyn Reporter,
    ) -> Result<()> {
        let (name, clock) = (self.name_of(component)?, SystemClock);
        let begun = clock.since_boot();
        loop {
            reporter.check()?;
            let service = self.docker().swarm_service(&name)?;
            let tasks = self.docker().tasks(&name)?;
            let is_late = clock.since_boot() >= begun + self.compose.limits.start_within + service.update().monitor;
            match stand_of(&service, &tasks, image) {
                Stand::Up => return Ok(()),
                Stand::Coming if !is_late => std::thread::sleep(LOOK_EVERY),
                Stand::Coming if ran_before && is_up(&service, &tasks, image, &["running", "pending"]) => {
                    reporter.say(&format!("Not all of {component} runs: Swarm has no node for the rest."));
                    return Ok(());
                }
                Stand::Coming => {
                    let wanted: Vec<&str> =
                        tasks.iter().filter(|it| it.is_wanted).map(|it| it.state.as_str()).collect();
                    let says = format!("its tasks: {}", wanted.join(", "));
                    return Err(self.not_up(Stand::Coming, component, version, &says, reporter));
                }
                stand => return Err(self.not_up(stand, component, version, service.says(), reporter)),
            }
        }
    }

    /// Why it is not up.
    fn not_up(&self, stand: Stand, component: &str, version: &str, says: &str, reporter: &dyn Reporter) -> Error {
        let (class, what) = match stand {
            Stand::Up | Stand::Coming => ("swarm_timed_out", "Swarm has not brought it up in time"),
            Stand::TakenBack => ("swarm_rolled_back", "Swarm has taken its update back"),
            Stand::StuckOnTheWayBack => ("swarm_rollback_paused", "Swarm has stopped on its way back"),
            Stand::Paused => ("swarm_paused", "Swarm has stopped its update in the middle"),
        };
        let name = self.name_of(component).unwrap_or_else(|_| component.to_owned());
        let longer = if class == "swarm_timed_out" {
            " Where it only needs time, make “start_within” in the profile longer."
        } else {
            ""
        };
        let error = Error::failed(class, format!("“{component}” did not come up as {version}: {what}."))
            .remedy(format!("Look at the details, at “docker service ps --no-trunc {name}” and at “docker service logs {name}”.{longer}"));
        self.told(error, component, says, reporter)
    }

    /// The error with what Swarm and the application say.
    fn told(&self, error: Error, component: &str, says: &str, reporter: &dyn Reporter) -> Error {
        let tasks = self.name_of(component).and_then(|it| self.docker().tasks(&it)).unwrap_or_default();
        // What is held waits for a node that is not meant to be there.
        let is_told = |it: &&Task| it.state != "pending" || (error.class == "swarm_timed_out" && it.is_wanted);
        let mut reasons: Vec<String> = tasks
            .iter()
            .filter(|it| !it.error.is_empty() && is_told(it))
            .map(|it| crate::process::printable(&reason(it)))
            .collect();
        reasons.dedup();
        let error = if says.is_empty() { error } else { error.detail(crate::process::printable(says)) };
        let error = reasons.into_iter().take(4).fold(error, Error::detail);
        self.last_words(component, reporter).into_iter().fold(error, Error::detail)
    }
}

/// How a service stands that is to run from an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stand {
    /// All of it runs, and Swarm has nothing against it.
    Up,
    /// Swarm is at it.
    Coming,
    Paused,
    TakenBack,
    StuckOnTheWayBack,
}

/// Where Swarm stands that goes back by itself, or has gone.
fn way_back_of(service: &SwarmService) -> Option<Stand> {
    Some(stand_of(service, &[], "")).filter(|it| matches!(it, Stand::TakenBack | Stand::StuckOnTheWayBack))
}

fn stand_of(service: &SwarmService, tasks: &[Task], image: &str) -> Stand {
    // Where Swarm is to take back what does not come up, its verdict counts.
    let awaits_verdict = service.update().failure_action == "rollback";
    match service.rollout() {
        Rollout::BeingTakenBack | Rollout::TakenBack => Stand::TakenBack,
        Rollout::StuckOnTheWayBack => Stand::StuckOnTheWayBack,
        Rollout::Paused => Stand::Paused,
        Rollout::UnderWay if awaits_verdict => Stand::Coming,
        Rollout::UnderWay | Rollout::Done if is_up(service, tasks, image, &["running"]) => Stand::Up,
        Rollout::UnderWay | Rollout::Done => Stand::Coming,
    }
}

fn reason(task: &Task) -> String {
    let node = if task.node.is_empty() { String::new() } else { format!(" on {}", task.node) };
    format!("{}{node}: {}", task.name, task.error)
}

/// Whether all that is to run of a service is in one of these states and some of it runs, from this image, and nothing of
/// another one any more.
fn is_up(service: &SwarmService, tasks: &[Task], image: &str, states: &[&str]) -> bool {
    let wanted: Vec<&Task> = tasks.iter().filter(|it| it.is_wanted).collect();
    let is_of = |it: &Task| split(&it.image).0 == split(image).0;
    let is_well = |it: &&Task| states.contains(&it.state.as_str()) && is_of(it);
    let some = wanted.is_empty() || wanted.iter().any(|it| it.state == "running");
    // What was started beside it leaves an old one that is still ending.
    let is_alone = !tasks.iter().any(|it| it.is_alive() && !is_of(it));
    let enough = match service.replicas() {
        Some(replicas) => u64::try_from(wanted.len()).is_ok_and(|it| it >= replicas),
        None => !wanted.is_empty(),
    };
    service.image() == image
        && !service.has_constraint(HELD)
        && enough
        && is_alone
        && some
        && wanted.iter().all(is_well)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(state: &str, action: &str, constraints: &str) -> SwarmService {
        SwarmService::read(&format!(
            r#"[{{"Spec": {{"TaskTemplate": {{"ContainerSpec": {{"Image": "shop:2@sha256:2"}}, "Placement": {{"Constraints": [{constraints}]}}}},
            "Mode": {{"Replicated": {{"Replicas": 2}}}}, "UpdateConfig": {{"FailureAction": "{action}"}}}},
            "UpdateStatus": {{"State": "{state}"}}}}]"#
        ))
        .unwrap()
    }

    fn tasks(states: &[&str]) -> Vec<Task> {
        let task = |state: &&str| Task {
            name: "shop.1".to_owned(),
            node: "vm".to_owned(),
            state: (*state).to_owned(),
            is_wanted: true,
            image: "shop:2@sha256:2".to_owned(),
            error: String::new(),
        };
        states.iter().map(task).collect()
    }

    #[test]
    fn what_swarm_says_of_a_rollout_is_its_verdict() {
        let (both, one) = (tasks(&["running", "running"]), tasks(&["running", "starting"]));
        let stand =
            |state: &str, action: &str, tasks: &[Task]| stand_of(&service(state, action, ""), tasks, "shop:2@sha256:2");
        assert_eq!(stand("completed", "rollback", &both), Stand::Up);
        assert_eq!(stand("updating", "rollback", &both), Stand::Coming, "Swarm still looks at it");
        assert_eq!(stand("updating", "pause", &both), Stand::Up, "nobody takes the old version back");
        assert_eq!(stand("completed", "rollback", &one), Stand::Coming, "one ended after the verdict");
        assert_eq!(stand("completed", "rollback", &both[..1]), Stand::Coming, "one of two");
        assert_eq!(stand("paused", "pause", &both), Stand::Paused);
        assert_eq!(stand("rollback_started", "pause", &both), Stand::TakenBack);
        assert_eq!(stand("rollback_completed", "pause", &both), Stand::TakenBack);
        assert_eq!(stand("rollback_paused", "pause", &both), Stand::StuckOnTheWayBack);
        let mut ending = both.clone();
        ending.push(Task { image: "shop:1".to_owned(), is_wanted: false, ..both[0].clone() });
        assert_eq!(stand("completed", "rollback", &ending), Stand::Coming, "the old one is still ending");
        let done = |image: &str, constraints: &str| stand_of(&service("completed", "pause", constraints), &both, image);
        assert_eq!(done("shop:1", ""), Stand::Coming, "another image is to run");
        assert_eq!(done("shop:2@sha256:2", r#""node.labels.liftlock==held""#), Stand::Coming, "it is held");
        let there = |states: &[&str]| {
            let either = ["running", "pending"];
            is_up(&service("updating", "pause", ""), &tasks(states), "shop:2@sha256:2", &either)
        };
        assert!(there(&["running", "pending"]) && !there(&["pending", "pending"]) && !there(&["running", "starting"]));
    }

    #[test]
    fn how_an_owner_has_it_updated_comes_back_as_it_was() {
        for text in ["1/1/stop-first/pause/shop:1", "0/2/start-first/rollback/r.example:5000/a/shop:1@sha256:1"] {
            assert_eq!(text.parse::<OwnWay>().unwrap().to_string(), text);
        }
        // Anybody may write labels, and what stands there becomes words of a command.
        for text in
            ["", "1/1/stop-first/pause", "x/1/stop-first/pause/i", "1/1/--force/pause/i", "1/1/stop-first/--help/i"]
        {
            assert!(text.parse::<OwnWay>().is_err(), "{text}");
        }
    }
}
