//! What users gave the application and it keeps in its container, in no volume.
//!
//! A container that is made anew has none of that. It is taken out of the old one before, and laid into the new one
//! after: forward, and on the way back. What was taken out lies in a file that says from which container it is, until it was laid into
//! another one; so a worker that is killed in between loses nothing. The last copy is kept.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{Compose, OURS};
use crate::docker::{Container, invocation, succeeded};
use crate::durable;
use crate::error::{Error, Result};
use crate::model::finding::{Finding, Severity};
use crate::model::profile::ContainerPath;
use crate::ports::{Patience, Pipes, Reporter};

/// Copying may take long, but never stands still.
const COPY: Patience =
    Patience { deadline: Duration::from_secs(6 * 3600), stall_after: Some(Duration::from_secs(600)) };
/// Before the id of the container from which a file is that was not laid in yet.
const FROM: &str = ".from-";

impl Compose {
    /// What of users' files lies in containers alone.
    ///
    /// # Errors
    /// Why Docker cannot be asked.
    pub(super) fn findings_of_carried(&self) -> Result<Vec<Finding>> {
        let mut found = Vec::new();
        for (service, paths) in &self.layout.carry {
            let containers = self.project.containers(service)?;
            for path in paths {
                let mut files = 0;
                for container in &containers {
                    files += self.files_of_its_own(container, path)?;
                }
                match files {
                    0 => {}
                    _ if containers.len() == 1 => found.push(told(service, path, files)),
                    _ => found.push(scattered(service, path, containers.len())),
                }
            }
        }
        Ok(found)
    }

    /// Takes out what a new container of `service` would not have. What an earlier one lost before it was laid in comes back
    /// first.
    pub(super) fn take_out(&self, service: &str, reporter: &dyn Reporter) -> Result<()> {
        let Some(container) = self.container_to_carry(service)? else { return Ok(()) };
        for (number, path) in self.paths(service).iter().enumerate() {
            let file = self.carried_file(service, number);
            for pending in pending(&file)? {
                if !is_from(&pending, &container) {
                    self.lay(&pending, &container, path, reporter)?;
                    durable::rename(&pending, &file)?;
                }
            }
            if self.files_of_its_own(&container, path)? == 0 {
                continue;
            }
            reporter.say(&format!("Files of {service} that lie in its container alone are taken along."));
            let from = invocation().args(["container", "cp"]).arg(format!("{}:{path}", container.id)).arg("-");
            let folder = durable::parent(&file)?;
            fs::create_dir_all(folder).map_err(|cause| Error::io("create", folder, &cause))?;
            durable::write_with(&from_container(&file, &container), |into| {
                let pipes = Pipes { stdin: None, stdout: Some(into) };
                succeeded(self.project.docker().runner().pipe(&from, pipes, COPY, &[], reporter)).map(drop)
            })?;
        }
        Ok(())
    }

    /// Lays into the container of `service` what was taken out of the one before.
    pub(super) fn lay_in(&self, service: &str, reporter: &dyn Reporter) -> Result<()> {
        let Some(container) = self.container_to_carry(service)? else { return Ok(()) };
        for (number, path) in self.paths(service).iter().enumerate() {
            let file = self.carried_file(service, number);
            for pending in pending(&file)? {
                crate::crash::point("forward", "carry", crate::crash::Moment::MidEffect);
                if !is_from(&pending, &container) {
                    self.lay(&pending, &container, path, reporter)?;
                }
                durable::rename(&pending, &file)?;
            }
        }
        Ok(())
    }

    fn lay(&self, file: &Path, container: &Container, path: &ContainerPath, reporter: &dyn Reporter) -> Result<()> {
        let mut from = durable::open_no_follow(file)?;
        let into = invocation().args(["container", "cp", "-"]).arg(format!("{}:{}", container.id, path.parent()));
        let mut echo = std::io::sink();
        let pipes = Pipes { stdin: Some(&mut from), stdout: Some(&mut echo) };
        let laid = succeeded(self.project.docker().runner().pipe(&into, pipes, COPY, &[], reporter));
        laid.map(drop).map_err(|error| error.detail(format!("what was to be laid in is in {}", file.display())))
    }

    fn container_to_carry(&self, service: &str) -> Result<Option<Container>> {
        if self.paths(service).is_empty() {
            return Ok(None);
        }
        Ok(self.project.containers(service)?.into_iter().next())
    }

    fn paths(&self, service: &str) -> &[ContainerPath] {
        self.layout.carry.get(service).map_or(&[], Vec::as_slice)
    }

    /// How many files below `path` are neither of the image nor in a volume.
    fn files_of_its_own(&self, container: &Container, path: &ContainerPath) -> Result<usize> {
        if container.outside(Path::new(path.as_str())).is_some() {
            return Ok(0);
        }
        let told = self.project.docker().ask(["container", "diff", &container.id])?;
        // “A /app/static/uploads/one.png”; folders stand there too.
        let there = told.lines().filter(|it| !it.starts_with('D')).filter_map(|it| Some(it.split_once(' ')?.1));
        let below = format!("{path}/");
        let names: Vec<&str> = there.filter(|it| it.starts_with(&below)).collect();
        let folders: BTreeSet<&str> = names.iter().filter_map(|it| Some(it.rsplit_once('/')?.0)).collect();
        Ok(names.iter().filter(|it| !folders.contains(*it)).count())
    }

    fn carried_file(&self, service: &str, number: usize) -> PathBuf {
        self.dir.join(OURS).join("carried").join(format!("{service}-{number}.tar"))
    }
}

fn from_container(file: &Path, container: &Container) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(FROM);
    name.push(&container.id);
    PathBuf::from(name)
}

fn is_from(pending: &Path, container: &Container) -> bool {
    pending.to_string_lossy().ends_with(&format!("{FROM}{}", container.id))
}

/// What was taken out to become `file`, and not laid in yet.
fn pending(file: &Path) -> Result<Vec<PathBuf>> {
    let folder = durable::parent(file)?;
    let begin = format!("{}{FROM}", file.file_name().unwrap_or_default().to_string_lossy());
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(cause) => return Err(Error::io("read", folder, &cause)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|cause| Error::io("read", folder, &cause))?;
        if entry.file_name().to_string_lossy().starts_with(&begin) {
            found.push(entry.path());
        }
    }
    Ok(found)
}

/// What one container has cannot be laid into several, and what several have not into one.
fn scattered(service: &str, path: &ContainerPath, containers: usize) -> Finding {
    Finding::new(
        Severity::Stop,
        "files_in_several_containers",
        format!(
            "“{service}” runs in {containers} containers, and files of users below {path} lie in them, each with its own. \
             Made anew, they would lose them."
        ),
        format!(
            "Copy them out (docker cp), give {path} a volume in the compose file and copy them in there, then try again."
        ),
    )
}

fn told(service: &str, path: &ContainerPath, files: usize) -> Finding {
    Finding::new(
        Severity::Warning,
        "files_in_container",
        format!(
            "Files of users lie in the container of “{service}” alone ({files} below {path}): Docker forgets them whenever this \
             container is made anew. Liftlock takes them along into the new one. They are in no backup."
        ),
        format!("Nothing to do for the update. To have them in safety, give {path} a volume in the compose file."),
    )
}
