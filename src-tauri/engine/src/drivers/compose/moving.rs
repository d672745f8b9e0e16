//! A database server of another major version, in containers: begun on a volume of its own, alone, and put in the place of the
//! old one by what is said of places.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use super::images::Image;
use super::places::{Places, Server, not_here};
use super::{Compose, overlay};
use crate::docker::{Container, succeeded};
use crate::drivers::mover::{DataMove, DataMover};
use crate::error::{Error, Result};
use crate::ports::{Patience, Reporter};
use crate::process::Silent;
use crate::upstream::{self, Mount, Service, Sides};

/// On everything that is made for a move; its value is the id of its update.
const LABEL: &str = "liftlock.move";
const PATIENCE: Patience = Patience { deadline: Duration::from_secs(300), stall_after: None };
/// How long a server may take to write down what it has.
const STOP_WITHIN: &str = "120";

impl DataMover for Compose {
    fn plan(&self, version: &str) -> Result<Option<DataMove>> {
        if !self.layout.is_built() {
            return Ok(None);
        }
        self.files_of(version)?;
        let asked = self.compared(version, asked_for)?.flatten().transpose()?;
        let Some(mut plan) = asked else { return Ok(None) };
        plan.version = version.to_owned();
        if self.volume_is_there(&plan.new_volume)? {
            return Err(Error::refused(
                "volume_taken",
                format!("There is a volume {} already, and nothing is restored over one.", plan.new_volume),
            )
            .remedy(format!(
                "Look what it is. If nothing needs it, remove it (docker volume rm {}), then try again.",
                plan.new_volume
            )));
        }
        plan.digest = self.digest_of(&plan.image).ok();
        if plan.digest.is_none() {
            plan.id = Some(self.id_of(&plan.image)?);
        }
        if plan.mounts.is_some() {
            plan.mounts = Some(self.mounts_of(version, &plan.service)?);
        }
        Ok(Some(plan))
    }

    fn prepare(&self, plan: &DataMove, reporter: &dyn Reporter) -> Result<DataMove> {
        let image = Image {
            reference: plan.image.clone(),
            id: plan.id.clone().unwrap_or_default(),
            digest: plan.digest.clone(),
        };
        let image = self.fetch(image, reporter)?;
        Ok(DataMove { id: Some(image.id), ..plan.clone() })
    }

    fn begin(&self, plan: &DataMove, id: &str, reporter: &dyn Reporter) -> Result<String> {
        let docker = self.project.docker();
        let (name, label) = (name_of(id), format!("{LABEL}={id}"));
        if self.volume_is_there(&plan.new_volume)? {
            return Err(Error::failed(
                "volume_taken",
                format!("There is a volume {} that was not made for this.", plan.new_volume),
            )
            .remedy("Look what it is. Nothing was written to it."));
        }
        docker.act(["volume", "create", "--label", &label, &plan.new_volume], PATIENCE, reporter)?;
        docker.act(["network", "create", "--internal", "--label", &label, &name], PATIENCE, reporter)?;
        let files = self.files_of(&plan.version)?;
        let places = self.after(plan)?;
        let over = self.ours("moving.yaml", &alone(plan, &places, &name))?;
        let project = self.project.with_files(files);
        let run =
            project.compose(&[over.as_path()]).args(["run", "--detach", "--no-deps", "--no-TTY", "--name", &name]);
        let run = run.args(["--label", &label, &plan.service]);
        succeeded(docker.runner().run(&run, PATIENCE, &[], reporter))?;
        Ok(name)
    }

    fn end(&self, _plan: &DataMove, id: &str, reporter: &dyn Reporter) -> Result<()> {
        let docker = self.project.docker();
        let ours = format!("label={LABEL}={id}");
        let containers = docker.ask(["ps", "--all", "--quiet", "--filter", &ours])?;
        for container in containers.split_whitespace() {
            docker.act(["container", "stop", "-t", STOP_WITHIN, container], PATIENCE, reporter)?;
            docker.act(["container", "rm", "--force", "--volumes", container], PATIENCE, reporter)?;
        }
        let networks = docker.ask(["network", "ls", "--quiet", "--filter", &ours])?;
        let networks: Vec<&str> = networks.split_whitespace().collect();
        if !networks.is_empty() {
            docker.act(["network", "rm"].into_iter().chain(networks), PATIENCE, &Silent)?;
        }
        Ok(())
    }

    fn discard(&self, plan: &DataMove, id: &str, reporter: &dyn Reporter) -> Result<()> {
        self.end(plan, id, reporter)?;
        let docker = self.project.docker();
        let (ours, name) = (format!("label={LABEL}={id}"), format!("name={}", plan.new_volume));
        let there = docker.ask(["volume", "ls", "--quiet", "--filter", &ours, "--filter", &name])?;
        // The filter knows parts of names too.
        if there.lines().any(|it| it.trim() == plan.new_volume) {
            docker.act(["volume", "rm", &plan.new_volume], PATIENCE, reporter)?;
        }
        Ok(())
    }

    fn is_volume(&self, name: &str) -> Result<bool> {
        self.volume_is_there(name)
    }

    fn places(&self) -> Result<Value> {
        super::images::json(&Compose::places(self)?)
    }

    fn switch(&self, plan: &DataMove, between: &dyn Fn(), reporter: &dyn Reporter) -> Result<()> {
        self.say(&self.after(plan)?)?;
        between();
        self.put_in_place(&plan.service, &plan.new_volume, plan.id.as_deref(), reporter)
    }

    fn switch_back(&self, plan: &DataMove, before: &Value, between: &dyn Fn(), reporter: &dyn Reporter) -> Result<()> {
        let before: Places = serde_json::from_value(before.clone()).map_err(|cause| {
            Error::failed("journal", "The journal does not say where the data was.")
                .remedy("Install the newest Liftlock, then try again. Nothing was changed.")
                .because(&cause)
        })?;
        self.say(&before)?;
        between();
        self.put_in_place(&plan.service, &plan.old_volume, None, reporter)
    }
}

impl Compose {
    /// What is said of places once the database is moved.
    fn after(&self, plan: &DataMove) -> Result<Places> {
        let mut places = Compose::places(self)?;
        places.volumes.extend(plan.keys.iter().map(|it| (it.clone(), plan.new_volume.clone())));
        places.servers.insert(plan.service.clone(), Server { image: plan.pinned(), mounts: plan.mounts.clone() });
        Ok(places)
    }

    pub(super) fn volume_is_there(&self, name: &str) -> Result<bool> {
        let filter = format!("name={name}");
        let there = self.project.docker().ask(["volume", "ls", "--quiet", "--filter", &filter])?;
        Ok(there.lines().any(|it| it.trim() == name))
    }

    /// The compose files of a version that is here.
    fn files_of(&self, version: &str) -> Result<Vec<PathBuf>> {
        self.files_in(&self.source_of(version).ok_or_else(|| not_here(version))?)
    }

    /// What the version mounts into the service, written out.
    fn mounts_of(&self, version: &str, service: &str) -> Result<Vec<Value>> {
        self.project.with_files(self.files_of(version)?).volumes_of(service, &[])
    }

    /// The container of a service is of what was said: made anew where it is on another volume or of another image.
    fn put_in_place(&self, service: &str, volume: &str, image: Option<&str>, reporter: &dyn Reporter) -> Result<()> {
        let is_in_place = |it: &Container| it.is_on(volume) && image.is_none_or(|image| it.image == image);
        let is_up = |it: &Container| it.is_running() && is_in_place(it);
        let containers = self.project.containers(service)?;
        if containers.len() == 1 && containers.iter().all(is_up) {
            return Ok(());
        }
        let version = super::super::Driver::current_release(self)?.unwrap_or_default();
        let project = self.project_of(&version)?;
        let over: Vec<PathBuf> = vec![self.ours("images.yaml", &self.images_override(&version)?)?];
        let over: Vec<&Path> = over.iter().map(PathBuf::as_path).collect();
        let mut up =
            project.compose(&over).args(["up", "--detach", "--no-deps", "--no-build", "--pull=never", "--quiet-pull"]);
        up = up.args(["--timeout", STOP_WITHIN]);
        if !containers.iter().all(is_in_place) {
            up = up.arg("--force-recreate");
        }
        let up = up.arg(service);
        let docker = self.project.docker();
        docker.again(|| succeeded(docker.runner().run(&up, PATIENCE, &[], reporter)))?;
        if self.project.containers(service)?.iter().any(is_up) {
            return Ok(());
        }
        Err(Error::failed(
            "start_failed",
            format!("The database “{service}” could not be started on the volume {volume}."),
        )
        .remedy(format!("Look at its log with “docker compose logs {service}”.")))
    }
}

/// What the release asks of the database, if it asks for another one.
fn asked_for(sides: &Sides<'_>) -> Option<Result<DataMove>> {
    sides.mine.services.iter().find_map(|(name, mine)| {
        let after = sides.after.services.get(name)?;
        let image = |it: &Service| Some(upstream::filled(it.image.as_deref()?, sides.settings));
        let (old, new) = (image(mine)?, image(after)?);
        let (from, to) = (upstream::major_of(&old)?, upstream::major_of(&new)?);
        (from != to).then(|| plan_for(name, (from, to), new, (mine, after), sides))
    })
}

fn plan_for(
    of: &str,
    (from_major, to_major): (u32, u32),
    image: String,
    (mine, after): (&Service, &Service),
    sides: &Sides<'_>,
) -> Result<DataMove> {
    if to_major < from_major {
        return Err(cannot(&format!("PostgreSQL {to_major} does not read what PostgreSQL {from_major} writes down")));
    }
    let one = |service: &Service| -> Result<(String, String)> {
        let mut volumes = service.mounts.iter().filter_map(|(target, it)| match it {
            Mount::Volume(key) => Some((target.clone(), key.clone())),
            Mount::Folder(_) | Mount::Passing => None,
        });
        match (volumes.next(), volumes.next()) {
            (Some(one), None) => Ok(one),
            _ => Err(cannot("its data is not in one named volume, which is all that this is made for")),
        }
    };
    let ((old_target, old_key), (new_target, new_key)) = (one(mine)?, one(after)?);
    let old_volume = sides.mine.volume_name(&old_key, sides.settings);
    let wanted = sides.after.volume_name(&new_key, sides.settings);
    let new_volume = if wanted == old_volume {
        // The name is taken by what is there: the new one says what it is of.
        let plain = old_volume.strip_suffix(&format!("_{from_major}")).unwrap_or(&old_volume);
        format!("{plain}_{to_major}")
    } else {
        wanted
    };
    let mut keys = vec![old_key.clone(), new_key.clone()];
    keys.dedup();
    for (name, service) in &sides.mine.services {
        let has = |key: &String| service.mounts.values().any(|it| *it == Mount::Volume(key.clone()));
        if keys.iter().any(has) && name != of {
            return Err(cannot(&format!("the service {name} uses the volume of the database too")));
        }
    }
    Ok(DataMove {
        version: String::new(),
        service: of.to_owned(),
        from_major,
        to_major,
        image,
        digest: None,
        id: None,
        old_volume,
        new_volume,
        keys,
        mounts: (old_target != new_target).then(Vec::new),
    })
}

fn cannot(why: &str) -> Error {
    Error::refused("cannot_move", format!("The database cannot be moved by Liftlock: {why}."))
        .remedy("Move it by hand with PostgreSQL's own tools, or stay at the version that is in use.")
}

fn name_of(id: &str) -> String {
    let short: String = id.chars().filter(|it| *it != '-').rev().take(12).collect();
    format!("liftlock-move-{short}")
}

/// The new server alone in a network, on its own volume.
fn alone(plan: &DataMove, places: &Places, network: &str) -> String {
    let services = places.services_text(|name, server| {
        let nothing_else =
            "    networks: !override [liftlock_move]\n    network_mode: !reset null\n    ports: !reset []\n    restart: \"no\"\n";
        if name == plan.service { server + nothing_else } else { server }
    });
    format!(
        "services:\n{services}{}networks:\n  liftlock_move:\n    external: true\n    name: {}\n",
        places.volumes_text(),
        overlay::text(network)
    )
}
