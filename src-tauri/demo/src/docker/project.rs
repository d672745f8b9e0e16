//! Corner Shop as a project of Docker Compose: a database without a published port, the shop on loopback, a named
//! volume, a folder of uploads beside the files, and `.env` with the passwords and the version.

use std::{fs, process::Command};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Docker, images, said, stack};
use crate::archive::{self, Form};
use crate::catalogue::Release;
use crate::place::{self, Facts, Place};

/// The project's file, as everybody who downloads Corner Shop has it.
const COMPOSE: &str = include_str!("compose.yaml");
/// Corner Shop's profile as Liftlock has it for containers; only the address of its releases is another one here.
pub const PROFILE: &str = include_str!("corner-shop-compose.toml");

/// What is remembered of a demo in containers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Project {
    /// Its name for Compose.
    pub name: String,
    /// The engine it runs on.
    pub docker: Docker,
    /// Its folder is a checkout of git, and its images are built from there.
    #[serde(default)]
    pub is_built: bool,
    /// It is deployed as a stack of Docker Swarm once there is something in its database.
    #[serde(default)]
    pub is_stack: bool,
}

impl Project {
    /// A project that is not there yet, on the engine that is reached from here.
    pub fn new(is_built: bool, is_stack: bool) -> Self {
        let name = format!("corner-shop-{}", &place::secret()[..8]);
        Self { name, docker: Docker::from_environment(), is_built, is_stack }
    }

    /// Its profile; only the address of its releases is another one here.
    pub fn profile(&self, facts: &Facts) -> String {
        if self.is_stack {
            return stack::profile(&self.name, facts.shop_port);
        }
        if !self.is_built {
            return PROFILE.to_owned();
        }
        let images = "pin = { file = \".env\", key = \"SHOP_VERSION\" }\nimages = { shop = \"corner-shop:{version}\" }\nlocal = true\n";
        let published =
            "asset = \"corner-shop-{version}.tar.gz\"\nchecksums = \"SHA256SUMS\"\nrequire = \"checksum\"\n";
        PROFILE.replace(images, "build = [\"shop\"]\n").replace(published, "published = \"tags\"\nrequire = \"none\"\n")
    }

    /// Makes the folder a checkout of the release.
    fn check_out(&self, shop: &std::path::Path, release: &Release) -> Result<()> {
        images::base(&self.docker, release)?;
        archive::unpacked(release, shop, Form::Source)?;
        let tag = format!("v{}", release.version);
        for words in
            [&["init", "--quiet"][..], &["add", "--all"], &["commit", "--quiet", "--message", &tag], &["tag", &tag]]
        {
            let mut git = Command::new("git");
            git.args(["-c", "user.name=Ann", "-c", "user.email=ann@example.org", "-c", "commit.gpgsign=false"]);
            let output = git.args(words).current_dir(shop).output().context("the command `git` is not installed")?;
            ensure!(output.status.success(), "git failed: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(())
    }

    /// `docker compose` with these words, in the project's folder.
    pub fn command(&self, place: &Place, words: &[&str]) -> Command {
        let mut command = self.docker.command(&["compose"]);
        // As a person types it: the name stands in `.env`, the file is found by its name.
        command.args(words).current_dir(place.shop()).env_remove("COMPOSE_PROJECT_NAME").env_remove("COMPOSE_FILE");
        command
    }

    /// Runs `docker compose` with these words and answers what it said.
    ///
    /// # Errors
    /// It failed; the message ends with its own words.
    pub fn compose(&self, place: &Place, words: &[&str]) -> Result<String> {
        said(&format!("compose {}", words.first().unwrap_or(&"")), self.command(place, words).output())
    }

    /// Makes the images and writes the project's files.
    ///
    /// # Errors
    /// The engine cannot be reached, or is too old.
    pub fn install(&self, place: &Place, facts: &Facts, release: &Release) -> Result<()> {
        self.docker.run(&["version", "--format", "{{.Server.Version}}"]).context("no engine of Docker answers")?;
        self.docker.run(&["compose", "version", "--short"]).context("Docker Compose 2 is not installed")?;
        let database = images::database(&self.docker)?;
        let shop = place.shop();
        for folder in ["data/uploads", "faults"] {
            fs::create_dir_all(shop.join(folder))?;
        }
        if self.is_built {
            self.check_out(&shop, release)?;
        } else {
            images::shop(&self.docker, release, 0)?;
            fs::write(shop.join("compose.yaml"), file(release, &database, Form::Program))?;
        }
        let mut env = format!(
            "# Corner Shop\nCOMPOSE_PROJECT_NAME={}\nSHOP_VERSION={}\nSHOP_PORT={}\nDB_PASSWORD={}\n",
            self.name, release.version, facts.shop_port, facts.shop_password
        );
        if release.behaviour.needs.iter().any(|it| it == "SHOP_CURRENCY") {
            env.push_str("SHOP_CURRENCY=EUR\n");
        }
        place::write_private(&shop.join(".env"), env.as_bytes())
    }

    /// Starts the database, or everything, and waits until it is healthy.
    ///
    /// # Errors
    /// It is not.
    pub fn start(&self, place: &Place, facts: &Facts, shop: bool) -> Result<()> {
        if self.is_stack && shop {
            return self.deploy(place, facts);
        }
        // A container that a killed engine has left is started by the engine itself, or by this.
        let mut words = vec!["up", "--detach", "--wait", "--wait-timeout", "90"];
        if !shop {
            words.push("db");
        }
        self.compose(place, &words).map(|_| ())
    }

    /// Runs the release's migrations in a container of their own.
    ///
    /// # Errors
    /// They fail.
    pub fn migrate(&self, place: &Place) -> Result<()> {
        self.compose(place, &["run", "--rm", "--no-deps", "shop", "corner-shop", "migrate"]).map(|_| ())
    }

    /// The address of the database's container: nothing is published, but this machine is on its network.
    ///
    /// # Errors
    /// It does not run.
    pub fn database_address(&self) -> Result<String> {
        let container = self.container("db")?;
        let namespace = "{{index .Config.Labels \"com.docker.stack.namespace\"}}";
        if self.docker.run(&["inspect", "--format", namespace, &container])? == self.name {
            return self.address_on_the_bridge(&container);
        }
        let format = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}";
        let addresses = self.docker.run(&["inspect", "--format", format, &container])?;
        addresses.split_whitespace().next().map(str::to_owned).context("the database's container has no address")
    }

    /// The container of a service that runs.
    ///
    /// # Errors
    /// There is none.
    pub fn container(&self, service: &str) -> Result<String> {
        let (project, service_label) = (label("project", &self.name), label("service", service));
        let listed = self.docker.run(&[
            "ps",
            "--quiet",
            "--no-trunc",
            "--filter",
            &project,
            "--filter",
            &service_label,
            "--filter",
            &label("oneoff", "False"),
        ])?;
        listed.lines().next().map(str::to_owned).with_context(|| format!("no container of {service} runs"))
    }

    /// The release whose image the shop's container has, or the one in `.env` where there is no container.
    ///
    /// # Errors
    /// There is neither.
    pub fn installed(&self, place: &Place) -> Result<String> {
        let format = "{{index .Config.Labels \"org.opencontainers.image.version\"}}";
        if let Ok(container) = self.container("shop") {
            return self.docker.run(&["inspect", "--format", format, &container]);
        }
        let env = fs::read_to_string(place.shop().join(".env"))?;
        let line = env.lines().find_map(|it| it.strip_prefix("SHOP_VERSION="));
        line.map(str::to_owned).context("SHOP_VERSION does not stand in .env")
    }

    /// What runs, by service.
    ///
    /// # Errors
    /// The engine does not answer.
    pub fn running(&self) -> Result<Value> {
        let names = self.docker.run(&[
            "ps",
            "--filter",
            &label("project", &self.name),
            "--format",
            "{{.Label \"com.docker.compose.service\"}}",
        ])?;
        Ok(Value::from(names.lines().map(str::to_owned).collect::<Vec<_>>()))
    }

    /// Ends the containers. The data stays, unless it is to be removed; then the images of the shop stay all the same,
    /// because other demos may use them.
    ///
    /// # Errors
    /// Something does not end.
    pub fn down(&self, place: &Place, hard: bool, remove: bool) -> Result<()> {
        if self.is_stack {
            self.take_away()?;
        }
        let of_project = ["--filter", &label("project", &self.name)];
        let listed = |words: &[&str]| -> Result<Vec<String>> {
            Ok(self.docker.run(&[words, &of_project].concat())?.lines().map(str::to_owned).collect())
        };
        if !hard && !remove && place.shop().join("compose.yaml").is_file() {
            self.compose(place, &["stop", "--timeout", "3"])?;
            return Ok(());
        }
        let act = |verb: &[&str], names: Vec<String>| -> Result<()> {
            if !names.is_empty() {
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                self.docker.run(&[verb, &names].concat())?;
            }
            Ok(())
        };
        if !remove {
            return act(&["kill"], listed(&["ps", "--quiet"])?);
        }
        act(&["rm", "--force", "--volumes"], listed(&["ps", "--all", "--quiet"])?)?;
        act(&["network", "rm"], listed(&["network", "ls", "--quiet"])?)?;
        act(&["volume", "rm", "--force"], listed(&["volume", "ls", "--quiet"])?)?;
        ensure!(listed(&["ps", "--all", "--quiet"])?.is_empty(), "containers of {} do not end", self.name);
        Ok(())
    }
}

/// A filter for what Compose has made.
fn label(name: &str, value: &str) -> String {
    format!("label=com.docker.compose.{name}={value}")
}

/// The project's file as a release has it.
pub fn file(release: &Release, database: &str, form: Form) -> String {
    let mut text = COMPOSE.replace("DATABASE_IMAGE", database);
    if form == Form::Source {
        // Nothing is fetched while it is built.
        text = text.replace("image: corner-shop:${SHOP_VERSION}", "build: { context: ., network: none }").replace(
            "    restart: always\n    pull_policy: never\n    depends_on",
            "    restart: always\n    depends_on",
        );
    }
    // A setting that only a later release knows is given to no earlier one.
    let knows =
        |line: &&str| release.behaviour.needs.iter().any(|it| it == "SHOP_CURRENCY") || !line.contains("SHOP_CURRENCY");
    text.lines().filter(knows).map(|it| it.to_owned() + "\n").collect()
}

/// The settings a release in containers offers, as `.env.example`.
pub fn example_settings(release: &Release) -> String {
    let mut text = format!("SHOP_VERSION={}\nSHOP_PORT=8080\nDB_PASSWORD=\n", release.version);
    for name in &release.behaviour.needs {
        let example = if name == "SHOP_CURRENCY" { "EUR" } else { "" };
        text.push_str(&format!(
            "# New in {}: the shop does not start without it.\n{name}={example}\n",
            release.version
        ));
    }
    text
}
