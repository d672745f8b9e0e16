//! The images of a release: named by the profile, known by their identity.
//!
//! A tag can be moved; an identity cannot. What a release ran from is written down when it is made ready, and a tag
//! that has been moved since is put back before the release is started again.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Compose, overlay};
use crate::docker::Container;
use crate::error::{Error, Result};
use crate::model::profile::Placeholder;
use crate::ports::{Patience, Reporter};

/// How long images may take to come.
const FETCH: Patience = Patience { deadline: Duration::from_secs(6 * 3600), stall_after: None };
const QUICK: Patience = Patience { deadline: Duration::from_secs(60), stall_after: None };

/// An image of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Image {
    /// As compose files name it.
    pub(super) reference: String,
    /// Its identity on this machine; empty before it is here.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) id: String,
    /// Its digest in the registry that it comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) digest: Option<String>,
}

impl Image {
    /// One of which nothing is known yet.
    pub(super) fn unknown() -> Self {
        Self { reference: String::new(), id: String::new(), digest: None }
    }
}

/// The images of one release, by service.
pub(super) type Images = BTreeMap<String, Image>;

/// What is written down of each release.
pub(super) struct Record(PathBuf);

impl Record {
    pub(super) fn at(file: &Path) -> Self {
        Self(file.to_owned())
    }
    /// One that cannot be read is never taken for an empty one: what is written next would be all there is.
    pub(super) fn all(&self) -> Result<BTreeMap<String, Images>> {
        let bytes = match std::fs::read(&self.0) {
            Ok(bytes) => bytes,
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
            Err(cause) => return Err(Error::io("read", &self.0, &cause)),
        };
        serde_json::from_slice(&bytes).map_err(|cause| {
            Error::failed(
                "images_unreadable",
                format!("What is written in {} of the images of each version cannot be read.", self.0.display()),
            )
            .remedy(
                "Bring the file back from a copy. Where there is none and no update is in progress, move it away: it is \
                 made anew from what runs, and the images themselves keep their names (“docker images liftlock-kept/*”).",
            )
            .because(&cause)
        })
    }
    pub(super) fn of(&self, version: &str) -> Result<Option<Images>> {
        Ok(self.all()?.remove(version))
    }
}

impl Compose {
    /// The image of each service in a release, as compose files name it.
    pub(super) fn references(&self, version: &str) -> Result<Vec<(String, String)>> {
        if self.layout.is_built() {
            let is_known = self.images_record().of(version)?.is_some();
            let named = |service: &str| {
                let name = if is_known { self.built_name(service, version) } else { self.own_name(service) };
                Ok((service.to_owned(), name?))
            };
            return self.layout.services().map(named).collect();
        }
        let filled = |(service, image): (&String, &crate::model::profile::Template)| {
            Ok((service.clone(), image.fill(&[(Placeholder::Version, version)])?))
        };
        self.layout.images.iter().map(filled).collect()
    }

    /// What an override file says of a release: its images, and where the data lies.
    pub(super) fn images_override(&self, version: &str) -> Result<String> {
        self.with_places(&self.images_of(version)?)
    }

    pub(super) fn images_of(&self, version: &str) -> Result<String> {
        let references = self.references(version)?;
        Ok(if self.layout.is_built() { overlay::built(&references) } else { overlay::images(&references) })
    }

    /// The version whose images the compose files name.
    pub(super) fn version_of_images(&self) -> Result<Option<String>> {
        let config = self.project.config(&[])?;
        Ok(self.layout.images.iter().find_map(|(service, template)| {
            let (before, after) = template.as_str().split_once("{version}")?;
            let image = config.services.get(service)?.image.as_deref()?;
            let version = image.strip_prefix(before)?.strip_suffix(after)?;
            super::super::plain_version(version).is_ok().then(|| version.to_owned())
        }))
    }

    /// The identity of an image that is here.
    pub(super) fn id_of(&self, reference: &str) -> Result<String> {
        let answer = self.project.docker().ask(["image", "inspect", "--format", "{{.Id}}", reference])?;
        Ok(answer.trim().to_owned())
    }

    pub(super) fn are_there(&self, version: &str) -> bool {
        let Ok(recorded) = self.images_record().of(version) else { return false };
        // What was never built here is only there where the user has built it.
        if self.layout.is_built() && recorded.is_none() && !self.is_in_place(version) {
            return false;
        }
        let Ok(references) = self.references(version) else { return false };
        let recorded = recorded.unwrap_or_default();
        references.iter().all(|(service, reference)| {
            recorded.get(service).is_some_and(|it| self.id_of(&it.id).is_ok()) || self.id_of(reference).is_ok()
        })
    }

    /// What the plan fixes: digests where a registry tells them, else identities of what is here.
    pub(super) fn identify_images(&self, version: &str) -> Result<Value> {
        if self.layout.is_built() {
            return Ok(Value::Null);
        }
        let mut images = Images::new();
        for (service, reference) in self.references(version)? {
            let here = self.id_of(&reference);
            let image = match (self.layout.local, here) {
                (true, here) => Image { id: here.map_err(|it| named(it, &reference))?, reference, digest: None },
                (false, here) => match (self.digest_of(&reference), here) {
                    (Ok(digest), here) => Image { id: here.unwrap_or_default(), reference, digest: Some(digest) },
                    // It is here already, and nobody can say that another one is meant.
                    (Err(_), Ok(id)) => Image { id, reference, digest: None },
                    (Err(error), Err(_)) => return Err(named(error, &reference)),
                },
            };
            images.insert(service, image);
        }
        recorded(&images)
    }

    /// What the registry says that a name stands for.
    pub(super) fn digest_of(&self, reference: &str) -> Result<String> {
        // Not the digest alone: some versions of it answer that with words for people.
        let asked = ["buildx", "imagetools", "inspect", "--format", "{{json .Manifest}}", reference];
        let told = self.project.docker().ask(asked)?;
        let told: Value = serde_json::from_str(&told).unwrap_or_default();
        if let Some(digest) = told["digest"].as_str().filter(|it| it.starts_with("sha256:")) {
            return Ok(digest.to_owned());
        }
        Err(Error::failed("registry_strange", format!("The registry of {reference} does not tell its digest."))
            .remedy("Install the plug-in buildx of Docker, then try again."))
    }

    /// Gets every image, by the identity that the plan fixed, and writes down what both releases run from.
    pub(super) fn prepare_images(&self, version: &str, identity: &Value, reporter: &dyn Reporter) -> Result<Value> {
        let planned: Images = serde_json::from_value(identity.clone()).map_err(|cause| {
            Error::bug("not_identified", "The images of the release were not fixed before they were fetched.")
                .because(&cause)
        })?;
        let mut images = Images::new();
        for (service, image) in planned {
            reporter.check()?;
            images.insert(service, self.fetch(image, reporter)?);
        }
        let mut all = self.images_record().all()?;
        if let Some(current) = self.current()? {
            all.insert(current.0, current.1);
        }
        all.insert(version.to_owned(), images.clone());
        for (version, images) in &all {
            self.keep(version, images)?;
        }
        self.write_down(&all)?;
        recorded(&images)
    }

    pub(super) fn write_down(&self, all: &BTreeMap<String, Images>) -> Result<()> {
        let text = serde_json::to_string_pretty(all)
            .map_err(|cause| Error::bug("state_json", "A record could not be written.").because(&cause))?;
        self.ours("images.json", &text).map(drop)
    }

    pub(super) fn fetch(&self, image: Image, reporter: &dyn Reporter) -> Result<Image> {
        let docker = self.project.docker();
        if let Some(digest) = &image.digest {
            let name = without_tag(&image.reference);
            let by_digest = format!("{name}@{digest}");
            reporter.say(&format!("Fetching {} ({digest}).", image.reference));
            docker.act(["pull", "--quiet", &by_digest], FETCH, reporter).map_err(|it| named(it, &image.reference))?;
            docker.act(["tag", &by_digest, &image.reference], QUICK, reporter)?;
        }
        let id = self.id_of(&image.reference).map_err(|it| named(it, &image.reference))?;
        if image.digest.is_none() && id != image.id {
            return Err(Error::refused(
                "image_moved",
                format!("{} is another image than when the update was planned.", image.reference),
            )
            .remedy("Start the update again, and find out who changes images on this computer."));
        }
        Ok(Image { id, ..image })
    }

    /// What runs now, with its version.
    pub(super) fn current(&self) -> Result<Option<(String, Images)>> {
        let Some(version) = super::Driver::current_release(self)? else { return Ok(None) };
        let config = self.project_of(&version)?.config(&[])?;
        let mut images = self.images_record().of(&version)?.unwrap_or_default();
        for service in self.layout.services() {
            let named = if self.layout.is_built() {
                Some(self.own_name(service)?)
            } else {
                config.services.get(service).and_then(|it| it.image.clone())
            };
            let Some(named) = named else { continue };
            // What runs is the truth; a service that only migrates has nothing that runs.
            let running = self.project.containers(service)?.into_iter().find(Container::is_running).map(|it| it.image);
            let known = images.get(service).filter(|_| self.layout.is_built()).map(|it| it.id.clone());
            let Some(id) = running.or(known).or_else(|| self.id_of(&named).ok()) else { continue };
            let reference = if self.layout.is_built() { self.built_name(service, &version)? } else { named };
            images.insert(service.to_owned(), Image { reference, id, digest: None });
        }
        Ok(Some((version, images)))
    }

    fn is_in_place(&self, version: &str) -> bool {
        super::Driver::current_release(self).is_ok_and(|it| it.as_deref() == Some(version))
    }

    /// Gives the images of a release a name of ours, so that nobody's tidying removes what is needed for the way back.
    pub(super) fn keep(&self, version: &str, images: &Images) -> Result<()> {
        for (service, image) in images {
            let ours = self.kept_name(service, version)?;
            if self.id_of(&ours).ok().as_ref() != Some(&image.id) && self.id_of(&image.id).is_ok() {
                self.project.docker().act(["tag", &image.id, &ours], QUICK, &crate::process::Silent)?;
            }
        }
        Ok(())
    }

    /// Lets go of a release that nobody goes back to: names of ours, and images that we fetched. One that a container
    /// still uses stays, because Docker does not remove it. Answers how large the images were that are gone, each counted
    /// whole, in bytes: what they share with others is still there.
    pub(super) fn forget_images(&self, version: &str) -> Result<u64> {
        let mut all = self.images_record().all()?;
        let Some(images) = all.remove(version) else { return Ok(0) };
        let sizes: BTreeMap<&str, u64> =
            images.values().filter_map(|it| Some((it.id.as_str(), self.size_of(&it.id).ok()?))).collect();
        for (service, image) in &images {
            let mut names = vec![self.kept_name(service, version)?];
            if self.layout.is_built() || (!self.layout.local && image.digest.is_some()) {
                names.push(image.reference.clone());
            }
            for name in names.iter().filter(|it| self.id_of(it).is_ok()) {
                match self.project.docker().ask(["image", "rm", "--no-prune", name]) {
                    Err(error) if error.class != "docker_failed" => return Err(error),
                    _ => {}
                }
            }
        }
        self.write_down(&all)?;
        Ok(sizes.into_iter().filter(|(id, _)| self.id_of(id).is_err()).map(|it| it.1).sum())
    }

    fn size_of(&self, id: &str) -> Result<u64> {
        let answer = self.project.docker().ask(["image", "inspect", "--format", "{{.Size}}", id])?;
        Ok(answer.trim().parse().unwrap_or_default())
    }

    /// Releases of which images are known that do not run now.
    pub(super) fn remembered_images(&self) -> Result<Vec<String>> {
        let current = super::Driver::current_release(self)?;
        Ok(self.images_record().all()?.into_keys().filter(|it| current.as_ref() != Some(it)).collect())
    }

    fn kept_name(&self, service: &str, version: &str) -> Result<String> {
        let name = format!("{}-{service}", self.project.name()?).to_lowercase();
        Ok(format!("liftlock-kept/{name}:{}", version.replace('+', "_")))
    }

    /// Sees to it that the names in the compose files stand for what the release is known to have run from.
    pub(super) fn ensure(&self, version: &str) -> Result<()> {
        let known = self.images_record().of(version)?.unwrap_or_default();
        // What was never here has no identity here.
        for image in known.values().filter(|it| !it.id.is_empty()) {
            if self.id_of(&image.reference).ok().as_ref() != Some(&image.id) {
                self.project.docker().act(["tag", &image.id, &image.reference], QUICK, &crate::process::Silent)?;
            }
        }
        Ok(())
    }

    /// Whether a container was made of the image that the release is known to run from.
    pub(super) fn is_of(&self, container: &Container, component: &str, version: &str) -> Result<bool> {
        let service = self.service(component)?;
        let known = self.images_record().of(version)?.and_then(|mut it| it.remove(service));
        Ok(known.is_none_or(|it| it.id.is_empty() || it.id == container.image))
    }
}

pub(super) fn recorded(images: &Images) -> Result<Value> {
    json(images)
}

/// Something of ours as a document for the journal.
pub(super) fn json<T: Serialize>(it: &T) -> Result<Value> {
    serde_json::to_value(it).map_err(|cause| Error::bug("state_json", "A record could not be written.").because(&cause))
}

/// Which image it is that has this trouble.
fn named(error: Error, reference: &str) -> Error {
    Error { message: format!("{} ({reference})", error.message.trim_end_matches('.')) + ".", ..error }
}

/// `registry:5000/shop:1.0` → `registry:5000/shop`.
fn without_tag(reference: &str) -> &str {
    match reference.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => name,
        _ => reference,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_that_cannot_be_read_is_not_an_empty_one() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("images.json");
        let record = Record::at(&file);
        assert!(record.all().unwrap().is_empty(), "there is none yet");
        for text in ["", "{\"1.0.0\": {\"shop\": ", "[]", "\0\0\0"] {
            std::fs::write(&file, text).unwrap();
            let error = record.of("1.0.0").unwrap_err();
            assert_eq!(error.class, "images_unreadable", "{text:?}");
            assert!(error.remedy.contains("docker images"), "{error:?}");
        }
        std::fs::write(&file, r#"{"1.0.0": {"shop": {"reference": "shop:1.0.0", "id": "sha256:1"}}}"#).unwrap();
        assert_eq!(record.of("1.0.0").unwrap().unwrap()["shop"].id, "sha256:1");
    }

    #[test]
    fn a_port_of_a_registry_is_no_tag() {
        assert_eq!(without_tag("r.example:5000/shop:1.0"), "r.example:5000/shop");
        assert_eq!(without_tag("r.example:5000/shop"), "r.example:5000/shop");
        assert_eq!(without_tag("shop:1.0"), "shop");
    }
}
