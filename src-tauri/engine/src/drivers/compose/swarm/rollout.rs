//! Holding a service, rolling it out and giving it back to its owner's settings: each one act of Swarm's, and then waiting
//! for what Swarm makes of it.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::{Swarm, WRITTEN};
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
const LOOK_EVERY: Duration = Duration::from_millis(150);
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
        let text = |it: Option<&String>, usual: &str| {
            it.filter(|it| !it.is_empty()).cloned().unwrap_or_else(|| usual.to_owned())
        };
        let (update, back) = (service.spec.update_config.as_ref(), service.spec.rollback_config.as_ref());
        Self {
            parallelism: update.map_or(1, |it| it.parallelism),
            back_parallelism: back.map_or(1, |it| it.parallelism),
            order: text(update.map(|it| &it.order), "stop-first"),
            failure_action: text(update.map(|it| &it.failure_action), "pause"),
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
        if is_held && is_other && service.rollout() == Rollout::TakenBack {
            return Err(self.taken_back(component, &version, &service, reporter));
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
            let update = service.spec.update_config.as_ref();
            let awaits_verdict = update.is_some_and(|it| it.failure_action == "rollback");
            let monitor = Duration::from_nanos(update.map_or(0, |it| it.monitor));
            let tasks = self.docker().tasks(&name)?;
            match service.rollout() {
                Rollout::TakenBack => return Err(self.taken_back(component, version, &service, reporter)),
                Rollout::StuckOnTheWayBack => return Err(self.stuck(component, version, &service, reporter)),
                Rollout::Paused => return Err(self.paused(component, version, &service, reporter)),
                Rollout::UnderWay if awaits_verdict => {}
                Rollout::UnderWay | Rollout::Done if is_up(&service, &tasks, image) => return Ok(()),
                Rollout::UnderWay | Rollout::Done => {}
            }
            if clock.since_boot() >= begun + self.compose.limits.start_within + monitor {
                return Err(self.not_in_time(component, version, &tasks, reporter));
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    fn taken_back(&self, component: &str, version: &str, service: &SwarmService, reporter: &dyn Reporter) -> Error {
        let error = Error::failed(
            "swarm_rolled_back",
            format!("“{component}” did not come up as {version}, and Swarm has taken its update back."),
        )
        .remedy(format!("Look at the details, and at “docker service logs {}”.", self.shown(component)));
        self.told(error, component, service.says(), reporter)
    }

    fn stuck(&self, component: &str, version: &str, service: &SwarmService, reporter: &dyn Reporter) -> Error {
        let error = Error::failed(
            "swarm_rollback_paused",
            format!("“{component}” did not come up as {version}, and Swarm has stopped on its way back."),
        )
        .remedy(format!("Look at “docker service ps --no-trunc {}”.", self.shown(component)));
        self.told(error, component, service.says(), reporter)
    }

    fn paused(&self, component: &str, version: &str, service: &SwarmService, reporter: &dyn Reporter) -> Error {
        let error = Error::failed(
            "swarm_paused",
            format!("Swarm has stopped the update of “{component}” to {version} in the middle."),
        )
        .remedy(format!("Look at “docker service ps --no-trunc {}”.", self.shown(component)));
        self.told(error, component, service.says(), reporter)
    }

    fn not_in_time(&self, component: &str, version: &str, tasks: &[Task], reporter: &dyn Reporter) -> Error {
        let states: Vec<String> = tasks.iter().filter(|it| it.is_wanted).map(|it| it.state.clone()).collect();
        let error = Error::failed(
            "swarm_timed_out",
            format!("Swarm did not bring “{component}” up as {version} within {} s.", self.compose.limits.start_within.as_secs()),
        )
        .remedy(format!(
            "Look at “docker service ps --no-trunc {}”; make “start_within” in the profile longer where it only needs time.",
            self.shown(component)
        ));
        self.told(error, component, &format!("its tasks: {}", states.join(", ")), reporter)
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

    fn shown(&self, component: &str) -> String {
        self.name_of(component).unwrap_or_else(|_| component.to_owned())
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
