//! What Docker says when it does not work, understood.

use crate::error::Error;
use crate::ports::Finished;
use crate::process::printable;

/// Lines of it that say why.
const TOLD: usize = 6;
/// Lines of a builder that are its last words.
const LAST_WORDS: usize = 20;
/// What everybody says who finds no room on a disk.
const NO_SPACE: &str = "no space left on device";

/// There is no `docker`.
pub(super) fn no_docker(cause: &Error) -> Error {
    Error::refused("docker_missing", "Docker is not installed on this computer, or not in the PATH of this user.")
        .remedy("Install Docker with Docker Compose 2.24 or newer, then try again.")
        .detail(cause.message.clone())
}

/// Why a build did not work. What a builder is at, it says on standard output.
pub(super) fn of_a_build(finished: &Finished) -> Error {
    let error = understood(&finished.stderr);
    if error.class != "build_failed" {
        return error;
    }
    let said: Vec<&str> =
        finished.stdout.lines().map(str::trim).filter(|it| !it.is_empty() && *it != "------").collect();
    // A command of the build that finds no room says so there too, and the builder only that it failed.
    let is_full = said.iter().rev().take(LAST_WORDS).any(|it| it.to_lowercase().contains(NO_SPACE));
    let details = said.iter().rev().take(TOLD).rev().map(|it| printable(it)).chain(error.details).collect();
    if is_full { Error { details, ..disk_full() } } else { Error { details, ..error } }
}

fn disk_full() -> Error {
    Error::failed("disk_full", "The disk on which Docker keeps its images and containers is full.")
        .remedy("Free some space there (“docker system df” shows what takes it), then try again.")
}

/// The error that its words tell.
pub(crate) fn understood(words: &str) -> Error {
    let text = words.to_lowercase();
    let says = |any: &[&str]| any.iter().any(|it| text.contains(it));
    let error = if says(&[NO_SPACE]) {
        disk_full()
    } else if says(&["permission denied while trying to connect"]) {
        Error::refused("docker_forbidden", "This user may not talk to Docker.")
            .remedy("Add the user to the group “docker”, use rootless Docker, or run Liftlock as the user who runs the application.")
    } else if says(&["cannot connect to the docker daemon", "error during connect", "is the docker daemon running"]) {
        Error::failed("docker_down", "Docker does not run.")
            .remedy("Start Docker (on Linux: “systemctl start docker”), then try again.")
    } else if says(&[
        "'compose' is not a docker command",
        "unknown command: docker compose",
        "unknown shorthand flag: 'f'",
        "unknown flag: --project-directory",
    ]) {
        Error::refused("compose_missing", "This Docker has no Docker Compose 2.")
            .remedy("Install the plug-in of Docker Compose 2.24 or newer (on Debian: docker-compose-plugin or docker-compose-v2). The old program “docker-compose” is not enough.")
    } else if let Some(error) = of_swarm(&says) {
        error
    } else if says(&["port is already allocated", "address already in use", "ports are not available"]) {
        Error::failed("port_taken", "A port that the application needs is taken.")
            .remedy("Stop the program that uses this port, or choose another port in the settings of the application.")
    } else if says(&["failed to resolve source metadata", "failed to do request"])
        && says(&["no such host", "dial tcp", "i/o timeout", "handshake timeout"])
    {
        Error::failed("registry_unreachable", "The registry of an image that the release is built on does not answer.")
            .remedy("Check the connection to the network, then try again. Nothing was stopped.")
    } else if says(&["failed to solve", "executor failed running", "returned a non-zero code"]) {
        Error::failed("build_failed", "An image of the release could not be built.").remedy(
            "Nothing was stopped. The log has all that the builder said; report it to the makers of the application.",
        )
    } else if says(&[
        "no such host",
        "tls handshake timeout",
        "i/o timeout",
        "dial tcp",
        "connection reset",
        "unexpected eof",
        ": eof",
    ]) {
        Error::failed("registry_unreachable", "The registry from which the images come does not answer.")
            .remedy("Check the connection to the network, then try again. Nothing was stopped.")
    } else if says(&["unauthorized", "authentication required", "denied: "]) {
        Error::failed("registry_forbidden", "The registry does not give out the image to this user.")
            .remedy("Log in with “docker login”, then try again.")
    } else if says(&[
        "no such image",
        "manifest unknown",
        "pull access denied",
        "manifest for",
        "repository does not exist",
    ]) {
        Error::failed("image_missing", "An image of the release is not there.")
            .remedy("Check the name of the image in the profile, or wait until its publisher has put it there.")
    } else if says(&["no such container", "is not running", "is restarting, wait"]) {
        Error::failed("container_down", "A container that is needed does not run.")
            .remedy("Start the application with “docker compose up -d”, and look at “docker compose logs”.")
    } else if says(&["executable file not found", "no such file or directory: unknown"]) {
        Error::failed("command_missing", "A program that is needed is not in the image.")
            .remedy("Check the commands in the profile, and the image that the compose file names.")
    } else if says(&["required variable", "is missing a value"]) {
        Error::refused("setting_missing", "The compose file needs a setting that is not there.")
            .remedy("Add it to the .env file beside the compose file, then try again.")
    } else if says(&[
        "no configuration file provided",
        "yaml:",
        "validating ",
        "invalid compose",
        "additional properties",
    ]) {
        Error::refused("compose_file", "The compose file cannot be used.")
            .remedy("Run “docker compose config” in the folder of the application and correct what it says.")
    } else {
        Error::failed("docker_failed", "Docker could not do what it was asked for.")
            .remedy("The details have its last words.")
    };
    let lines: Vec<&str> = words.lines().map(str::trim).filter(|it| !it.is_empty()).collect();
    lines.iter().rev().take(TOLD).rev().fold(error, |error, line| error.detail(printable(line)))
}

/// What Docker Swarm says.
fn of_swarm(says: &dyn Fn(&[&str]) -> bool) -> Option<Error> {
    Some(if says(&["worker nodes can't be used"]) {
        Error::refused("not_a_manager", "This computer is a worker of its swarm, and only a manager may change services.")
            .remedy("Run Liftlock on a manager (“docker node ls” there names them), or make this node one with “docker node promote”.")
    } else if says(&["not a swarm manager", "not part of a swarm"]) {
        Error::refused("swarm_inactive", "Docker on this computer is not part of a swarm.").remedy(
            "Run Liftlock on a manager of the swarm that the application runs in, or take “stack” out of the profile.",
        )
    } else if says(&["swarm is encrypted and needs to be unlocked"]) {
        Error::failed("swarm_locked", "The swarm is locked since Docker was started.")
            .remedy("Unlock it with “docker swarm unlock”, then try again.")
    } else if says(&["swarm does not have a leader", "lost the quorum"]) {
        Error::failed("swarm_without_leader", "The swarm has lost most of its managers and takes no changes.")
            .remedy("Bring its managers back (“docker node ls” on one of them), then try again.")
    } else if says(&["no such service"]) {
        Error::refused("service_missing", "A service of the application is not there.")
            .remedy("Correct its name, or that of the stack, in the profile: “docker stack services” or “docker compose config --services” names those that are there.")
    } else {
        return None;
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_of_a_build_that_found_no_room_did_not_just_fail() {
        let of = |stdout: &str| {
            let stderr = "failed to solve: process \"/bin/sh -c make\" did not complete successfully: exit code: 1";
            of_a_build(&Finished { code: Some(1), stdout: stdout.to_owned(), stderr: stderr.to_owned() })
        };
        let full =
            of("#5 0.2 cc main.c\n#5 0.4 fatal error: error writing to /tmp/x.s: No space left on device\n------\n");
        assert!(full.class == "disk_full" && full.details.iter().any(|it| it.contains("/tmp/x.s")), "{full:?}");
        assert_eq!(of("#5 0.2 cc main.c\n#5 0.4 main.c:1: error\n").class, "build_failed");
    }

    #[test]
    fn what_docker_says_is_understood() {
        for (words, class) in [
            (
                "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?",
                "docker_down",
            ),
            (
                "permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock",
                "docker_forbidden",
            ),
            ("docker: 'compose' is not a docker command.\nSee 'docker --help'", "compose_missing"),
            (
                "Error response from daemon: driver failed programming external connectivity on endpoint x: Bind for 127.0.0.1:80 failed: port is already allocated",
                "port_taken",
            ),
            (
                "Error response from daemon: manifest for shop:9 not found: manifest unknown: manifest unknown",
                "image_missing",
            ),
            ("Error response from daemon: No such image: shop:9", "image_missing"),
            (
                "Error response from daemon: Get \"https://r.example/v2/\": dial tcp: lookup r.example: no such host",
                "registry_unreachable",
            ),
            (
                "failed to solve: process \"/bin/sh -c make\" did not complete successfully: exit code: 2",
                "build_failed",
            ),
            ("ERROR: failed to do request: Head \"http://r.example/v2/shop/manifests/9\": EOF", "registry_unreachable"),
            (
                "failed to solve: python:3.11: failed to resolve source metadata for docker.io/library/python:3.11: failed to do request: Head \"https://r.example/v2/\": dial tcp: lookup r.example: no such host",
                "registry_unreachable",
            ),
            ("write /var/lib/docker/tmp/x: no space left on device", "disk_full"),
            ("Error response from daemon: Container abc is not running", "container_down"),
            ("no configuration file provided: not found", "compose_file"),
            (
                "error while interpolating services.shop: required variable SECRET is missing a value: set it",
                "setting_missing",
            ),
            (
                "Error response from daemon: This node is not a swarm manager. Use \"docker swarm init\" or \"docker swarm join\" to connect this node to swarm and try again.",
                "swarm_inactive",
            ),
            (
                "Error response from daemon: This node is not a swarm manager. Worker nodes can't be used to view or modify cluster state.",
                "not_a_manager",
            ),
            (
                "Error response from daemon: Swarm is encrypted and needs to be unlocked before it can be used.",
                "swarm_locked",
            ),
            (
                "Error response from daemon: rpc error: code = Unknown desc = The swarm does not have a leader.",
                "swarm_without_leader",
            ),
            ("Error: no such service: shop_shop", "service_missing"),
            ("something else", "docker_failed"),
        ] {
            let error = understood(words);
            assert_eq!(error.class, class, "{words}");
            assert!(!error.remedy.is_empty() && !error.details.is_empty());
        }
    }
}
