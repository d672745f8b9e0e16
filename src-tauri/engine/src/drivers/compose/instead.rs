//! What the override file in the user's folder says while a release runs.
//!
//! Where images are built from a checkout, the release is run by its own compose file, and the checkout's stays as it is. Who
//! types `docker compose up` there must get what runs all the same. So the override file takes the release's services in the
//! place of the checkout's, whole. It is only believed where Docker Compose itself makes the same of both; what it cannot
//! write out without losing something (a volume whose place is a variable, say) leaves the images alone in it.

use std::sync::PoisonError;

use serde_json::Value;

use super::places::Places;
use super::{Compose, overlay};
use crate::docker::Project;
use crate::error::{Error, Result};

/// What a version runs by, and the text that says so: it is worked out before anything is stopped.
pub(super) type Known = Option<(String, String)>;

/// What belongs to a project beside its services.
const BESIDE: [&str; 4] = ["networks", "volumes", "secrets", "configs"];
/// Where a path stands.
const PATHS: [&str; 5] = ["source", "path", "file", "context", "device"];

impl Compose {
    /// The text for a version: its images, where the data lies, and all else that its own compose file says.
    pub(super) fn override_of(&self, version: &str, places: &Places) -> Result<String> {
        let images = places.after(&self.images_of(version)?);
        if !self.layout.is_built() || !self.folder_of(version).is_dir() {
            return Ok(images);
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, text)) = known.as_ref().filter(|it| it.0 == images) {
            return Ok(text.clone());
        }
        // A setting that it needs may not be there yet. The images are enough to run it.
        let Ok(text) = self.instead(version, &images) else { return Ok(images) };
        *known = Some((images, text.clone()));
        Ok(text)
    }

    /// The release's services in the place of the checkout's, unless these are the same but for their images.
    fn instead(&self, version: &str, images: &str) -> Result<String> {
        let over = self.ours("override.images.yaml", images)?;
        let release = self.project.with_files(self.files_in(&self.folder_of(version))?).with_more_files(over.clone());
        let mine = self.project.with_files(self.files_in(&self.dir)?);
        let wanted = release.hashes()?;
        if mine.clone().with_more_files(over).hashes().is_ok_and(|it| it == wanted) {
            return Ok(images.to_owned());
        }
        let (after, before) = (self.document(&release)?, self.document(&mine)?);
        let text = whole(&after, &before, &self.dir.to_string_lossy());
        let file = self.ours("override.yaml", &text)?;
        let is_same = mine.with_more_files(file).hashes().is_ok_and(|it| it == wanted);
        Ok(if is_same { text } else { images.to_owned() })
    }

    /// A project with its variables still in place.
    pub(super) fn document(&self, project: &Project) -> Result<Value> {
        serde_json::from_str(&project.uninterpolated()?).map_err(|cause| {
            Error::failed("docker_strange", "The answer of “docker compose config” could not be understood.")
                .remedy("Use Docker Compose 2.24 or newer. If it is, report it with the details.")
                .because(&cause)
        })
    }
}

/// All of `after` in the place of `before`, for a file over that one. Paths in `folder` stay paths from it.
fn whole(after: &Value, before: &Value, folder: &str) -> String {
    let entries = |of: &Value| of.as_object().cloned().unwrap_or_default();
    let mut yaml = "services:\n".to_owned();
    for (name, service) in entries(&after["services"]) {
        yaml.push_str(&format!("  {}: !override {}\n", overlay::text(&name), from_here(&service, folder)));
    }
    for (name, _) in entries(&before["services"]).into_iter().filter(|(name, _)| after["services"][name].is_null()) {
        yaml.push_str(&format!("  {}: !reset null\n", overlay::text(&name)));
    }
    for kind in BESIDE {
        let all = entries(&after[kind]);
        if !all.is_empty() {
            yaml.push_str(&format!("{kind}:\n"));
        }
        for (name, it) in all {
            yaml.push_str(&format!("  {}: !override {}\n", overlay::text(&name), from_here(&it, folder)));
        }
    }
    yaml
}

/// With the paths that Docker Compose has written out from the root written from the folder, which may be moved.
fn from_here(value: &Value, folder: &str) -> Value {
    let relative = |text: &str| text.strip_prefix(folder)?.strip_prefix('/').map(|it| format!("./{it}"));
    match value {
        Value::Object(map) => {
            let one = |(key, it): (&String, &Value)| {
                let path = it.as_str().filter(|_| PATHS.contains(&key.as_str())).and_then(relative);
                (key.clone(), path.map_or_else(|| from_here(it, folder), Value::String))
            };
            Value::Object(map.iter().map(one).collect())
        }
        Value::Array(all) => all.iter().map(|it| from_here(it, folder)).collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nothing_of_the_file_below_is_left_and_its_folder_may_be_moved() {
        let before = json!({ "services": { "shop": {}, "gone": {} }, "volumes": { "old": {} } });
        let after = json!({
            "services": {
                "shop": { "command": "/srv/shop/run $$HOME", "volumes": [{ "source": "/srv/shop/files", "target": "/x" }] },
                "worker": { "volumes": [{ "source": "/srv/shopping" }] },
            },
            "volumes": { "data": { "name": "shop_data" } },
            "networks": {},
        });
        insta::assert_snapshot!(whole(&after, &before, "/srv/shop"), @r#"
        services:
          "shop": !override {"command":"/srv/shop/run $$HOME","volumes":[{"source":"./files","target":"/x"}]}
          "worker": !override {"volumes":[{"source":"/srv/shopping"}]}
          "gone": !reset null
        volumes:
          "data": !override {"name":"shop_data"}
        "#);
    }
}
