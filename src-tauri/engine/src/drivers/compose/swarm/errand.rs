//! Commands of a release beside a stack: each in a container of its own with the environment and the folders of a service,
//! gone afterwards.
//!
//! A network of a stack takes no containers but those of Swarm, so such a container shares that of the database. Secrets
//! and configs of Swarm are given to its tasks alone; a service that has some is refused before.

use uuid::Uuid;

use super::Swarm;
use crate::docker::{SwarmMount, invocation};
use crate::drivers::Errand;
use crate::drivers::command::words_of;
use crate::drivers::compose::errand::{LABEL, service_of, watched};
use crate::error::Result;
use crate::model::profile::CommandLine;
use crate::ports::{Finished, Invocation, Patience, Reporter, SignOfWork};

impl Swarm {
    pub(super) fn run_errand(
        &self,
        line: &CommandLine,
        errand: &Errand<'_>,
        patience: Patience,
        signs: &[&dyn SignOfWork],
        reporter: &dyn Reporter,
    ) -> Result<Finished> {
        let service = service_of(line)?;
        self.compose.ensure(errand.place.version)?;
        let name = format!("liftlock-{}", Uuid::new_v4().simple());
        let run = self.invocation_of(service, line, errand, &name)?;
        watched(self.docker(), &run, &name, patience, signs, reporter)
    }

    fn invocation_of(&self, service: &str, line: &CommandLine, errand: &Errand<'_>, name: &str) -> Result<Invocation> {
        let found = self.docker().swarm_service(&self.compose.project.name_in_swarm(service)?)?;
        let label = format!("{LABEL}={}", self.compose.project.name()?);
        let network = match (errand.network, &self.database) {
            (Some(network), _) => Some(network.to_owned()),
            (None, Some(database)) => Some(format!("container:{}", self.compose.project.running(database)?.id)),
            (None, None) => None,
        };
        let mut run = invocation().args(["run", "--rm", "--pull=never", "--name", name, "--label", &label]);
        if let Some(network) = network {
            run = run.arg("--network").arg(network);
        }
        // What is set for this errand comes last, and so wins.
        let own = found.list_of_container("Env").into_iter().filter_map(|it| it.split_once('='));
        for (key, value) in own.chain(errand.variables.iter().map(|(key, value)| (key.as_str(), value.as_str()))) {
            run = if steers_docker(key) {
                run.arg("--env").arg(format!("{key}={value}"))
            } else {
                run.arg("--env").arg(key).env(key, value)
            };
        }
        for mount in found.mounts() {
            run = run.arg("--mount").arg(words_of_mount(&mount, errand.network.is_some()));
        }
        for (option, key) in [("--user", "User"), ("--workdir", "Dir")] {
            let value = found.of_container(key);
            if !value.is_empty() {
                run = run.arg(option).arg(value);
            }
        }
        let entry = found.list_of_container("Command");
        if let Some(first) = entry.first() {
            run = run.arg("--entrypoint").arg(first);
        }
        let run = run.arg(self.here(service, errand.place.version)?).args(entry.into_iter().skip(1));
        let words = words_of(line, errand.place)?;
        Ok(if words.is_empty() { run.args(found.list_of_container("Args")) } else { run.args(words) })
    }

    /// The image of a service in a release as it is called on this node.
    fn here(&self, service: &str, version: &str) -> Result<String> {
        let known = self.compose.images_record().of(version)?.and_then(|mut it| it.remove(service));
        match known.filter(|it| !it.id.is_empty()) {
            Some(image) => Ok(image.id),
            None => self.image_of(service, version),
        }
    }
}

/// Whether `docker` itself would go by a variable that is meant for the container. None of these holds a secret.
fn steers_docker(key: &str) -> bool {
    let is_its_own = ["HOST", "CONTEXT", "CONFIG", "CERT_PATH", "TLS", "TLS_VERIFY", "API_VERSION"];
    ["PATH", "HOME", "TMPDIR"].contains(&key)
        || ["LD_", "XDG_"].iter().any(|it| key.starts_with(it))
        || key.strip_prefix("DOCKER_").is_some_and(|it| is_its_own.contains(&it))
}

/// As `docker run --mount` takes it, which reads a line of CSV.
fn words_of_mount(mount: &SwarmMount, only_read: bool) -> String {
    let field = |text: String| format!("\"{}\"", text.replace('"', "\"\""));
    let mut fields = vec![format!("type={}", mount.kind), field(format!("target={}", mount.target))];
    if !mount.source.is_empty() {
        fields.push(field(format!("source={}", mount.source)));
    }
    if (mount.read_only || only_read) && mount.kind != "tmpfs" {
        fields.push("readonly".to_owned());
    }
    fields.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_of_the_application_never_leads_docker_astray() {
        assert!(["PATH", "DOCKER_HOST", "LD_PRELOAD"].iter().all(|it| steers_docker(it)));
        assert!(!["DATABASE_URL", "DOCKER_PASSWORD", "PATHS"].iter().any(|it| steers_docker(it)));
    }

    #[test]
    fn a_folder_with_odd_letters_stays_one_field() {
        let mount = |kind: &str, source: &str| SwarmMount {
            kind: kind.to_owned(),
            source: source.to_owned(),
            target: "/b".to_owned(),
            read_only: false,
        };
        let odd = words_of_mount(&mount("bind", "/a,x=\"1"), false);
        assert_eq!(odd, "type=bind,\"target=/b\",\"source=/a,x=\"\"1\"");
        assert_eq!(words_of_mount(&mount("volume", "v"), true), r#"type=volume,"target=/b","source=v",readonly"#);
        assert_eq!(words_of_mount(&mount("tmpfs", ""), true), r#"type=tmpfs,"target=/b""#);
    }
}
