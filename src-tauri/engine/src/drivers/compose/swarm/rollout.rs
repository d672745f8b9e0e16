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
const HELD: &str = "node.labels.liftlock == held";
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
        // Swarm has done this since it was asked to, whoever asked.
        if is_held && is_other && service.rollout().is_back() {
            return Err(self.not_up(Stand::TakenBack, component, &version, service.says(), reporter));
        }
        if is_held || is_other {
            self.compose.ensure(&version)?;
            let (reference, own) = (split(&image).0, self.own_way(&service));
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
        self.watch(component, &version, &image, reporter)
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
    /// waits for the end of the time for which Swarm looks at that.
    fn watch(&self, component: &str, version: &str, image: &str, reporter: &dyn Reporter) -> Result<()> {
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
        let mut reasons: Vec<String> = tasks
            .iter()
            .filter(|it| !it.error.is_empty() && it.state != "pending")
            .map(|it| crate::process::printable(&format!("{} on {}: {}", it.name, it.node, it.error)))
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

fn stand_of(service: &SwarmService, tasks: &[Task], image: &str) -> Stand {
    // Where Swarm is to take back what does not come up, its verdict counts.
    let awaits_verdict = service.update().failure_action == "rollback";
    match service.rollout() {
        Rollout::BeingTakenBack | Rollout::TakenBack => Stand::TakenBack,
        Rollout::StuckOnTheWayBack => Stand::StuckOnTheWayBack,
        Rollout::Paused => Stand::Paused,
        Rollout::UnderWay if awaits_verdict => Stand::Coming,
        Rollout::UnderWay | Rollout::Done if is_up(service, tasks, image) => Stand::Up,
        Rollout::UnderWay | Rollout::Done => Stand::Coming,
    }
}

/// Whether all that is to run of a service runs, from this image.
fn is_up(service: &SwarmService, tasks: &[Task], image: &str) -> bool {
    let wanted: Vec<&Task> = tasks.iter().filter(|it| it.is_wanted).collect();
    let runs = |it: &&Task| it.state == "running" && split(&it.image).0 == split(image).0;
    let enough = match service.replicas() {
        Some(replicas) => u64::try_from(wanted.len()).is_ok_and(|it| it >= replicas),
        None => !wanted.is_empty(),
    };
    service.image() == image && !service.has_constraint(HELD) && enough && wanted.iter().all(runs)
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
        let done = |image: &str, constraints: &str| stand_of(&service("completed", "pause", constraints), &both, image);
        assert_eq!(done("shop:1", ""), Stand::Coming, "another image is to run");
        assert_eq!(done("shop:2@sha256:2", r#""node.labels.liftlock==held""#), Stand::Coming, "it is held");
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
