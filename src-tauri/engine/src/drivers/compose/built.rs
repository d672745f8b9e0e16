//! Images that are built here from the source of a release.
//!
//! A release is built from the folder that it was unpacked to, by its own compose file, before anything is stopped; from
//! then on it is run by that file too, because what it needs of ports, variables and volumes is said there. The user's
//! checkout is where the first version came from. It is asked and never switched: nothing that runs comes from there
//! any more, and what lies in it may be anybody's work.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use super::images::{Image, Images};
use super::{Compose, OURS, overlay};
use crate::docker::{Project, built};
use crate::drivers::Variables;
use crate::drivers::checkout::Checkout;
use crate::error::{Error, Result};
use crate::model::finding::{Finding, Severity};
use crate::ports::{Patience, Reporter};

const BUILD: Patience = Patience { deadline: Duration::from_secs(6 * 3600), stall_after: None };

impl Compose {
    /// The project as a release has it: by its own compose file, or by the user's where it has no folder.
    pub(super) fn project_of(&self, version: &str) -> Result<Project> {
        if !self.layout.is_built() {
            return Ok(self.project.clone());
        }
        let folder = self.folder_of(version);
        let project =
            if folder.is_dir() { self.project.with_files(self.files_in(&folder)?) } else { self.project.clone() };
        self.placed(project)
    }

    pub(super) fn folder_of(&self, version: &str) -> PathBuf {
        self.dir.join(OURS).join("releases").join(version)
    }

    /// Where the source of a release lies: among those that are run, or where it is only looked at.
    pub(super) fn source_of(&self, version: &str) -> Option<PathBuf> {
        let looked = self.looked.as_ref().map(|it| it.join(version));
        [Some(self.folder_of(version)), looked].into_iter().flatten().find(|it| it.is_dir())
    }

    /// The compose files that a release brings.
    pub(super) fn files_in(&self, folder: &Path) -> Result<Vec<PathBuf>> {
        let files = match self.layout.files.as_slice() {
            [] => Project::new(self.project.docker().clone(), folder, Vec::new()).first_file().into_iter().collect(),
            named => named.iter().map(|it| it.under(folder)).collect::<Vec<_>>(),
        };
        if files.is_empty() || !files.iter().all(|it| it.is_file()) {
            return Err(Error::failed(
                "compose_file",
                "The source of the release has no compose file where one must be.",
            )
            .remedy("Correct “files” under [driver] in the profile. Nothing was stopped.")
            .detail(folder.display().to_string()));
        }
        Ok(files)
    }

    /// The name under which the image of a service of a release is kept.
    pub(super) fn built_name(&self, service: &str, version: &str) -> Result<String> {
        let name = format!("{}-{service}", self.project.name()?).to_lowercase();
        Ok(format!("{name}:{}", version.replace('+', "_")))
    }

    /// What stands for a service before Liftlock has built anything: what Docker Compose has built by itself.
    pub(super) fn own_name(&self, service: &str) -> Result<String> {
        let config = self.project.config(&[])?;
        let named = config.services.get(service).and_then(|it| it.image.clone());
        Ok(named.unwrap_or_else(|| format!("{}-{service}", config.name)))
    }

    /// The version of the user's checkout, as its tags say it.
    pub(super) fn version_of_checkout(&self) -> Result<Option<String>> {
        self.checkout().map_or(Ok(None), |it| it.version(&self.tags))
    }

    fn checkout(&self) -> Option<Checkout<'_>> {
        Checkout::of(&self.dir, self.project.docker().runner().as_ref())
    }

    /// The checkout, where what runs was built from it.
    fn checkout_in_use(&self) -> Result<Option<(String, Checkout<'_>)>> {
        let Some(version) = super::Driver::current_release(self)? else { return Ok(None) };
        if self.folder_of(&version).is_dir() {
            return Ok(None);
        }
        Ok(self.checkout().map(|it| (version, it)))
    }

    /// Files of the checkout that were changed by hand, where what runs was built from it.
    pub(super) fn changes_in_checkout(&self) -> Result<Vec<PathBuf>> {
        self.checkout_in_use()?.map_or(Ok(Vec::new()), |(_, it)| it.changes())
    }

    /// What a person should know of a version that is built.
    pub(super) fn findings_of_build(&self, target: Option<&str>) -> Result<Vec<Finding>> {
        let Some(current) = super::Driver::current_release(self)? else {
            return Err(Error::refused(
                "checkout_without_version",
                format!("Nothing says which version was built in {}.", self.dir.display()),
            )
            .remedy("Check out the tag of the version that runs (git checkout v1.2.3), then try again."));
        };
        let (Some(target), Some(_)) = (target, self.checkout()) else { return Ok(Vec::new()) };
        let first = !self.folder_of(&current).is_dir();
        Ok(first.then(|| stays(&self.dir, &current, target)).into_iter().collect())
    }

    /// Builds the images of a release, unless they are there, and writes down what both releases run from.
    pub(super) fn prepare_built(&self, version: &str, variables: &Variables, reporter: &dyn Reporter) -> Result<Value> {
        self.keep_changes(reporter)?;
        let mut all = self.images_record().all()?;
        let is_there = |it: &Images| it.values().all(|it| self.id_of(&it.id).is_ok());
        if !all.get(version).is_some_and(is_there) {
            // Before the build: it may move the names that Docker Compose itself gives.
            if let Some((current, images)) = self.current()? {
                self.keep(&current, &images)?;
                all.insert(current, images);
                self.write_down(&all)?;
            }
            let images = self.build(version, variables, reporter)?;
            crate::crash::point("forward", "build_images", crate::crash::Moment::MidEffect);
            all.insert(version.to_owned(), images);
        }
        for (version, images) in &all {
            self.keep(version, images)?;
        }
        self.write_down(&all)?;
        // Now, because nobody waits yet.
        let _ = self.override_of(version, &self.places()?);
        super::images::recorded(&all.remove(version).unwrap_or_default())
    }

    fn build(&self, version: &str, variables: &Variables, reporter: &dyn Reporter) -> Result<Images> {
        let folder = self.folder_of(version);
        let mut images = Images::new();
        for service in self.layout.services() {
            let reference = self.built_name(service, version)?;
            images.insert(service.to_owned(), Image { reference, id: String::new(), digest: None });
        }
        let names: Vec<_> = images.iter().map(|(service, it)| (service.clone(), it.reference.clone())).collect();
        let over = self.ours("build.yaml", &overlay::to_build(&names))?;
        let mut files = self.files_in(&folder)?;
        files.push(over);
        let mut build = crate::docker::invocation().args([
            "compose",
            "--ansi=never",
            "--progress=plain",
            "--project-name",
            self.project.name()?,
            "--project-directory",
        ]);
        build = build.arg(&folder).dir(&folder);
        let settings = self.dir.join(".env");
        if settings.is_file() {
            build = build.arg("--env-file").arg(settings);
        }
        build = files.iter().fold(build, |build, file| build.arg("--file").arg(file));
        build = build.arg("build").args(self.layout.services());
        build = variables.iter().fold(build, |build, (key, value)| build.env(key, value));
        reporter.say(&format!("Building the images of {version} from its source."));
        let docker = self.project.docker();
        docker.again(|| built(docker.runner().run(&build, BUILD, &[], reporter)))?;
        for image in images.values_mut() {
            image.id = self.id_of(&image.reference)?;
        }
        Ok(images)
    }

    /// Keeps what was changed by hand in the checkout that is left behind.
    fn keep_changes(&self, reporter: &dyn Reporter) -> Result<()> {
        let Some((version, checkout)) = self.checkout_in_use()? else { return Ok(()) };
        if checkout.changes()?.is_empty() {
            return Ok(());
        }
        let name = format!("changes-{version}.patch");
        let file = self.ours(&name, "")?;
        checkout.keep(&file)?;
        reporter.say(&format!("What was changed by hand is kept in {}.", file.display()));
        Ok(())
    }
}

fn stays(dir: &Path, current: &str, target: &str) -> Finding {
    Finding::new(
        Severity::Note,
        "checkout_stays",
        format!(
            "Your checkout in {} stays as it is, at {current}: {target} is built and run from a copy of its source in \
             {OURS}, and an override file of Liftlock's own says so to Docker Compose.",
            dir.display()
        ),
        "Nothing to do. To have the checkout at the same version, check out its tag there after the update.",
    )
}
