//! The same shop as a stack of Docker Swarm: made as a project, then deployed over the same data.

use std::{fs, process::Command};

use anyhow::{Context, Result, ensure};

use super::images;
use super::project::{PROFILE, Project};
use crate::detached::wait_until;
use crate::place::{Facts, Place};
use crate::shop::parse_env_file;

/// The stack's file.
const STACK: &str = include_str!("stack.yaml");
/// How long Swarm may take to end what it runs.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);

/// Its profile: the project's, without what a stack does not have.
pub fn profile(name: &str, shop_port: u16) -> String {
    let (before, rest) = PROFILE.split_once("[gate]").expect("the profile of a project has a gate");
    let (_, after) = rest.split_once("[migrations]").expect("the profile of a project has migrations");
    let profile =
        format!("{before}[migrations]{after}").replace("127.0.0.1:{port}/", &format!("127.0.0.1:{shop_port}/"));
    profile.replace("kind = \"compose\"\n", &format!("kind = \"compose\"\nstack = \"{name}\"\n"))
}

impl Project {
    /// Deploys it, the first time in the place of the project's containers.
    ///
    /// # Errors
    /// The engine is no manager of a swarm, or the stack is refused.
    pub fn deploy(&self, place: &Place, facts: &Facts) -> Result<()> {
        let file = place.shop().join("compose.yaml");
        if !fs::read_to_string(&file)?.contains("endpoint_mode") {
            self.compose(place, &["down", "--timeout", "5"])?;
            let text = STACK
                .replace("DATABASE_IMAGE", &images::database_name()?)
                .replace("PROJECT", &self.name)
                .replace("SHOP_PORT_NUMBER", &facts.shop_port.to_string());
            fs::write(&file, text)?;
        }
        let settings = parse_env_file(&fs::read_to_string(place.shop().join(".env"))?);
        let mut deploy: Command =
            self.docker.command(&["stack", "deploy", "--resolve-image", "never", "--detach=true"]);
        deploy.args(["--compose-file", "compose.yaml", &self.name]).current_dir(place.shop()).envs(settings);
        let output = deploy.output().context("the command `docker` is not installed")?;
        ensure!(output.status.success(), "docker stack deploy: {}", String::from_utf8_lossy(&output.stderr).trim());
        let up = wait_until(PATIENCE, || self.container("db").is_ok() && self.container("shop").is_ok());
        ensure!(up, "the tasks of the stack do not come up");
        Ok(())
    }

    /// Takes the stack away; its volume stays.
    ///
    /// # Errors
    /// It does not go.
    pub fn take_away(&self) -> Result<()> {
        self.docker.run(&["stack", "rm", &self.name])?;
        let ours = format!("label=com.docker.stack.namespace={}", self.name);
        let is_gone = || self.docker.run(&["ps", "--all", "--quiet", "--filter", &ours]).is_ok_and(|it| it.is_empty());
        ensure!(wait_until(PATIENCE, is_gone), "the containers of the stack do not go");
        Ok(())
    }

    /// The address of a container on the bridge by which tasks of a swarm reach their machine.
    pub(super) fn address_on_the_bridge(&self, container: &str) -> Result<String> {
        let format = format!("{{{{with index .Containers \"{container}\"}}}}{{{{.IPv4Address}}}}{{{{end}}}}");
        let address = self.docker.run(&["network", "inspect", "--format", &format, "docker_gwbridge"])?;
        let plain = address.split('/').next().filter(|it| !it.is_empty());
        plain.map(str::to_owned).context("the database's container has no address on docker_gwbridge")
    }
}
